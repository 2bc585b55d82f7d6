/**
 * `npm run test:clients`: the Python package of OpenAI, in an environment of its own, against the API over real tabs. Needs python3 with venv; the
 * package comes by pip, once.
 */

import { spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { homedir } from 'node:os'
import path from 'node:path'
import { fileURLToPath } from 'node:url'

const PACKAGE = 'openai==3.54.0'
const folder = path.join(homedir(), '.cache', 'tabswarm-python', PACKAGE)
const python = path.join(folder, process.platform === 'win32' ? 'Scripts/python.exe' : 'bin/python')
const done = path.join(folder, 'pyvenv.done')

/**
 * @param {string} command
 * @param {readonly string[]} args
 * @param {string} what to do where it fails
 */
function run(command, args, what) {
  const { status } = spawnSync(command, args, { stdio: 'inherit', env: { ...process.env, TABSWARM_PYTHON: python } })
  if (status === 0) return
  process.stderr.write(`${what}\n`)
  process.exit(status ?? 1)
}

if (!existsSync(done)) {
  run('python3', ['-m', 'venv', '--clear', folder], 'python3 with its module venv is needed (Debian: apt-get install python3-venv)')
  run(python, ['-m', 'pip', 'install', '--quiet', PACKAGE], `pip could not install ${PACKAGE}`)
  run(python, ['-c', `open(${JSON.stringify(done)}, "w").close()`], 'the environment could not be marked as made')
}
const vitest = fileURLToPath(new URL('../node_modules/vitest/vitest.mjs', import.meta.url))
run(process.execPath, [vitest, 'run', '--project', 'clients'], 'the tests with the Python package failed')
