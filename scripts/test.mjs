/**
 * `npm test`: every test, those of kernels on every adapter at hand; two adapters share the costlier proofs. Gets the default model
 * first. `npm test -- unit e2e` runs only the runs named. `npm run test:long` takes the longer proofs with it: `*.long.test.ts`, and
 * whole answers to all prompts on every adapter. GPU_REQUIRED=1: SwiftShader must be there; LAVAPIPE_REQUIRED=1: lavapipe too. Ends with what failed and
 * one line `N passed, N failed, N skipped` over all runs.
 */

import { spawn } from 'node:child_process'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { constants, setPriority, tmpdir } from 'node:os'
import path from 'node:path'
import { fileURLToPath } from 'node:url'
import { register } from 'tsx/esm/api'

const root = fileURLToPath(new URL('..', import.meta.url))
register({ tsconfig: path.join(root, 'tsconfig.json') })
const { ADAPTER_VARIABLE, catalogueEntry, environmentFor, probeEnvironment, pullModel } = await import('../src/node/index.ts')

/** How much of the costly proofs an adapter computes: test/support/proofs.ts. */
const PROOFS_VARIABLE = 'TABSWARM_PROOFS'
/** Whether vitest.config.ts takes `*.long.test.ts`. */
const LONG_VARIABLE = 'TABSWARM_LONG'
const LONG_FLAG = '--long'
/** What runs beside each other, and in each lane one after the other. */
const LANES = [['unit', 'store', 'model'], ['gpu:swiftshader'], ['gpu:lavapipe'], ['e2e']]
const RUN_NAMES = LANES.flat()
/** Browsers wait for the clock half of their time, for things that come late where they do not get a core at once. The others take what is left. */
const URGENT_PROJECT = 'e2e'

/** @typedef {{name: string, passed: number, failed: number, skipped: number, failures: readonly string[], seconds: number, note: string}} RunResult */

/** @type {Set<import('node:child_process').ChildProcess>} */
const children = new Set()
for (const signal of /** @type {const} */ (['SIGINT', 'SIGTERM']))
  process.on(signal, () => {
    for (const child of children) child.kill(signal)
  })

const reports = await mkdtemp(path.join(tmpdir(), 'tabswarm-test-'))
try {
  process.exitCode = await main(process.argv.slice(2))
} finally {
  await rm(reports, { recursive: true, force: true })
}

/** @param {readonly string[]} args */
async function main(args) {
  const isLong = args.includes(LONG_FLAG)
  if (isLong) process.env[LONG_VARIABLE] = '1'
  const wanted = args.filter((name) => name !== LONG_FLAG)
  const unknown = wanted.filter((name) => !RUN_NAMES.includes(name))
  if (unknown.length > 0) {
    process.stderr.write(`there is no run ${unknown.join(', ')}; the runs are ${RUN_NAMES.join(', ')}\n`)
    return 2
  }
  await getModel()
  const names = wanted.length === 0 ? RUN_NAMES : wanted
  const lavapipe = names.includes('gpu:lavapipe') ? await gpuEnvironment('lavapipe') : { missing: 'not asked for' }
  const fewer = 'env' in lavapipe ? 'half' : 'usual'
  /** @type {Readonly<Record<string, () => Promise<RunResult>>>} */
  const adapterRuns = {
    'gpu:swiftshader': async () =>
      runAdapter('swiftshader', await gpuEnvironment('swiftshader'), isLong ? 'all' : fewer, process.env.GPU_REQUIRED === '1'),
    'gpu:lavapipe': () => runAdapter('lavapipe', lavapipe, 'all', process.env.LAVAPIPE_REQUIRED === '1'),
  }
  const lanes = await Promise.all(
    LANES.map(async (lane) => {
      const results = []
      for (const name of lane) if (names.includes(name)) results.push(await (adapterRuns[name] ?? (() => runProject(name, name, {})))())
      return results
    }),
  )
  return report(lanes.flat())
}

async function getModel() {
  const entry = catalogueEntry('default')
  if (entry === undefined) throw new Error('the catalogue has no default model')
  let tenth = -1
  await pullModel(entry, {
    onProgress(bytesDone, bytesTotal) {
      const now = Math.floor((10 * bytesDone) / bytesTotal)
      if (now !== tenth && bytesDone < bytesTotal) process.stdout.write(`getting the model: ${10 * now} %\n`)
      tenth = now
    },
  })
}

/**
 * The variables of a driver that was found and that Dawn accepts, or what is missing.
 * @param {'swiftshader' | 'lavapipe'} adapter
 */
async function gpuEnvironment(adapter) {
  const found = await environmentFor(adapter)
  if ('missing' in found) return found
  const description = await probeEnvironment(found.env)
  return description === null ? { missing: `Dawn gets no adapter from ${JSON.stringify(found.env)}` } : found
}

/**
 * @param {'swiftshader' | 'lavapipe'} adapter
 * @param {import('../src/node/index.ts').GpuEnvironment} environment
 * @param {'half' | 'usual' | 'all'} proofs
 * @param {boolean} isRequired
 * @returns {Promise<RunResult>}
 */
async function runAdapter(adapter, environment, proofs, isRequired) {
  const name = `gpu:${adapter}`
  if ('env' in environment) {
    const env = { ...environment.env, [ADAPTER_VARIABLE]: adapter, [PROOFS_VARIABLE]: proofs }
    return runProject(name, 'gpu', env)
  }
  process.stdout.write(`\n== ${name}: ${isRequired ? 'FAILED, it is required' : 'skipped'}: ${environment.missing}\n`)
  return { name, passed: 0, failed: isRequired ? 1 : 0, skipped: isRequired ? 0 : 1, failures: [], seconds: 0, note: environment.missing }
}

/**
 * One vitest project in a process of its own. What it prints comes all at once when it has ended, since another may run beside it.
 * @param {string} name
 * @param {string} project
 * @param {Readonly<Record<string, string>>} env
 * @returns {Promise<RunResult>}
 */
async function runProject(name, project, env) {
  const isUrgent = project === URGENT_PROJECT
  process.stdout.write(`== ${name} has begun\n`)
  const startedMs = performance.now()
  const reportFile = path.join(reports, `${name.replace(':', '-')}.json`)
  const vitest = path.join(root, 'node_modules', 'vitest', 'vitest.mjs')
  const args = [vitest, 'run', '--project', project, '--reporter=default', '--reporter=json', `--outputFile.json=${reportFile}`]
  const child = spawn(process.execPath, args, {
    cwd: root,
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, ...env },
    detached: !isUrgent,
  })
  children.add(child)
  if (!isUrgent && child.pid !== undefined) await stepBack(child.pid)
  /** @type {Buffer[]} */
  const printed = []
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk) => printed.push(chunk))
  const code = await new Promise((resolve, reject) => {
    child.once('error', reject)
    child.once('close', resolve)
  })
  children.delete(child)
  process.stdout.write(`\n== ${name}\n${Buffer.concat(printed)}`)
  const seconds = (performance.now() - startedMs) / 1000
  const counts = await readCounts(reportFile)
  // A file that could not be loaded, or a process that died, fails without a failed test.
  const failed = code === 0 ? counts.failed : Math.max(1, counts.failed)
  return { name, ...counts, failed, seconds, note: code === 0 ? '' : `exit code ${code}` }
}

/**
 * Lets every process that is not of this one's session go first. Linux weighs sessions against each other before it looks at processes, and
 * browsers have one of their own.
 * @param {number} pid of a detached child
 */
async function stepBack(pid) {
  try {
    setPriority(pid, constants.priority.PRIORITY_LOW)
  } catch {
    // It has ended already, or the system lets nobody do so: it runs as others do.
  }
  await writeFile(`/proc/${pid}/autogroup`, String(constants.priority.PRIORITY_LOW)).catch(() => undefined)
}

/** @param {string} reportFile */
async function readCounts(reportFile) {
  const text = await readFile(reportFile, 'utf8').catch(() => null)
  if (text === null) return { passed: 0, failed: 1, skipped: 0, failures: [] }
  const { numPassedTests, numFailedTests, numPendingTests, numTodoTests, testResults } = JSON.parse(text)
  return {
    passed: numPassedTests,
    failed: numFailedTests,
    skipped: numPendingTests + numTodoTests,
    failures: testResults.flatMap(failuresOfFile),
  }
}

/**
 * A line for each failed test of a file, or for the file itself when it could not be loaded.
 * @param {{name: string, message: string, assertionResults: readonly {status: string, fullName: string, failureMessages: readonly string[]}[]}} file
 */
function failuresOfFile({ name, message, assertionResults }) {
  const firstLine = (/** @type {string | undefined} */ text) => (text ?? '').split('\n', 1)[0]
  const file = path.relative(root, name)
  const failed = assertionResults.filter((test) => test.status === 'failed')
  if (failed.length === 0 && message !== '') return [`${file}: ${firstLine(message)}`]
  return failed.map((test) => `${file}: ${test.fullName}: ${firstLine(test.failureMessages[0])}`)
}

/**
 * Prints the table and the last line; the exit code.
 * @param {readonly RunResult[]} results
 */
function report(results) {
  const failures = results.flatMap((result) => result.failures.map((failure) => `${result.name}  ${failure}\n`))
  if (failures.length > 0) process.stdout.write(`\nwhat failed:\n${failures.join('')}`)
  process.stdout.write(
    `\n${'run'.padEnd(18)}${'passed'.padStart(8)}${'failed'.padStart(8)}${'skipped'.padStart(9)}${'seconds'.padStart(9)}\n`,
  )
  for (const { name, passed, failed, skipped, seconds, note } of results) {
    const row = `${name.padEnd(18)}${String(passed).padStart(8)}${String(failed).padStart(8)}${String(skipped).padStart(9)}${seconds.toFixed(0).padStart(9)}`
    process.stdout.write(`${row}${note === '' ? '' : `  ${note}`}\n`)
  }
  const sum = (/** @type {'passed' | 'failed' | 'skipped'} */ key) => results.reduce((total, result) => total + result[key], 0)
  if (sum('passed') === 0) process.stdout.write('no test passed: that is a failure\n')
  process.stdout.write(`${sum('passed')} passed, ${sum('failed')} failed, ${sum('skipped')} skipped\n`)
  return sum('failed') > 0 || sum('passed') === 0 ? 1 : 0
}
