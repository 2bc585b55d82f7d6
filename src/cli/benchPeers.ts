/**
 * `tabswarm bench peers`: one tab of ours against wllama (llama.cpp in a tab) in the same Chromium, with the same file. Everybody is measured
 * once a round, in turn, so that whatever else the machine does slows all; each line says what really computed.
 */

import type { Command } from 'commander'
import { median } from '../kernels/suite/index.ts'
import type { ResolvedModel } from '../node/index.ts'
import { measureTabswarm, measureWllama, type PeerRun, type PeerSubject } from './benchPeersTabs.ts'
import { printJson, printLine, printNote, progressPrinter, wholeNumber } from './output.ts'

interface BenchPeersOptions {
  readonly json: boolean
  readonly model: string
  readonly rounds: number
}

interface PeerResult extends PeerSubject {
  /** What computed: wllama falls back to WASM without a word where WebGPU has no f16. */
  readonly ran: PeerRun['ran']
  readonly adapter: string
  /** Medians over the rounds. */
  readonly decodeTokensPerSecond: number
  readonly prefillTokensPerSecond: number
  readonly runs: readonly PeerRun[]
}

interface PeerRatio {
  readonly backend: PeerRun['ran']
  readonly threads: number
  /** Ours ÷ wllama's: medians of the ratios within a round; null where wllama did not run on this backend. */
  readonly decode: number | null
  readonly prefill: number | null
  readonly reason: string | null
}

const SUBJECTS: readonly PeerSubject[] = [
  { peer: 'tabswarm', asked: 'webgpu', threads: 1 },
  { peer: 'wllama', asked: 'webgpu', threads: 1 },
  { peer: 'tabswarm', asked: 'wasm', threads: 1 },
  { peer: 'wllama', asked: 'wasm', threads: 1 },
  { peer: 'tabswarm', asked: 'wasm', threads: 2 },
  { peer: 'wllama', asked: 'wasm', threads: 2 },
]
const ROUNDS_DEFAULT = 3
const ROUNDS_MAX = 50

export function registerBenchPeers(bench: Command): void {
  bench
    .command('peers')
    .description('one tab of ours against wllama (llama.cpp in a tab), same browser, same file')
    .option('--model <id|file|url>', 'the model', 'default')
    .option('--rounds <n>', 'times that each is measured', wholeNumber('--rounds', 1, ROUNDS_MAX), ROUNDS_DEFAULT)
    .option('--json', 'one JSON value on stdout', false)
    .action(benchPeers)
}

async function benchPeers(options: BenchPeersOptions): Promise<void> {
  const { createServer } = await import('../server.ts')
  const { ensureWebApp, launchChromium, resolveModel } = await import('../node/index.ts')
  const model = await resolveModel(options.model, progressPrinter('model'))
  const webRoot = await ensureWebApp(printNote)
  const coordinator = await createServer({ host: '127.0.0.1', port: 0, models: [model], minStages: 1, webRoot })
  const browser = await launchChromium()
  try {
    const runs = new Map<PeerSubject, PeerRun[]>(SUBJECTS.map((subject) => [subject, []]))
    for (let round = 1; round <= options.rounds; round++) {
      for (const [subject, done] of runs) {
        const measure = subject.peer === 'wllama' ? measureWllama : measureTabswarm
        const run = await measure({ browser, url: coordinator.url, modelId: model.hashedManifest.manifest.id, subject })
        done.push(run)
        printNote(`round ${round} of ${options.rounds}: ${name(subject)} on ${run.ran}: ${figures(run)}`)
      }
    }
    const result = summarize(model, browser.version(), runs)
    if (options.json) printJson(result)
    else show(result)
  } finally {
    await browser.close()
    await coordinator.close()
  }
}

type BenchPeersResult = ReturnType<typeof summarize>

function summarize(model: ResolvedModel, chromium: string, runs: ReadonlyMap<PeerSubject, readonly PeerRun[]>) {
  const peers = [...runs].map(
    ([subject, done]): PeerResult => ({
      ...subject,
      ran: done[0]?.ran ?? subject.asked,
      adapter: done[0]?.adapter ?? '',
      decodeTokensPerSecond: median(done.map((run) => run.decodeTokensPerSecond)),
      prefillTokensPerSecond: median(done.map((run) => run.prefillTokensPerSecond)),
      runs: done,
    }),
  )
  const ratios = peers.filter(({ peer }) => peer === 'tabswarm').map((ours) => compare(ours, peers))
  return { model: model.hashedManifest.manifest.id, chromium, peers, ratios }
}

function compare(ours: PeerResult, peers: readonly PeerResult[]): PeerRatio {
  const theirs = peers.find(({ peer, asked, threads }) => peer === 'wllama' && asked === ours.asked && threads === ours.threads)
  const line = { backend: ours.ran, threads: ours.threads }
  if (theirs === undefined || theirs.ran !== ours.ran)
    return { ...line, decode: null, prefill: null, reason: `wllama was asked for ${ours.asked} and ran on ${theirs?.ran ?? 'nothing'}` }
  const ratio = (figure: 'decodeTokensPerSecond' | 'prefillTokensPerSecond') =>
    median(ours.runs.map((run, round) => run[figure] / (theirs.runs[round]?.[figure] ?? Number.NaN)))
  return { ...line, decode: ratio('decodeTokensPerSecond'), prefill: ratio('prefillTokensPerSecond'), reason: null }
}

function name({ peer, asked, threads }: PeerSubject): string {
  return asked === 'webgpu' ? `${peer}, WebGPU` : `${peer}, WASM, ${threads} thread${threads === 1 ? '' : 's'}`
}

function figures(run: Pick<PeerRun, 'decodeTokensPerSecond' | 'prefillTokensPerSecond'>): string {
  return `decode ${run.decodeTokensPerSecond.toFixed(1)}, prefill ${run.prefillTokensPerSecond.toFixed(1)} tokens/s`
}

function show({ model, chromium, peers, ratios }: BenchPeersResult): void {
  printLine(`${model} in one tab of Chromium ${chromium}; medians`)
  printLine(`${'asked for'.padEnd(28)}${'ran on'.padEnd(9)}${'decode'.padStart(9)}${'prefill'.padStart(9)}  tokens/s   adapter`)
  for (const peer of peers) {
    const speeds = [peer.decodeTokensPerSecond, peer.prefillTokensPerSecond].map((speed) => speed.toFixed(1).padStart(9))
    printLine(`${name(peer).padEnd(28)}${peer.ran.padEnd(9)}${speeds.join('')}             ${peer.adapter}`)
  }
  for (const { backend, threads, decode, prefill, reason } of ratios) {
    const what = `ours ÷ wllama's, ${backend}, ${threads} thread${threads === 1 ? '' : 's'}`
    printLine(
      decode === null || prefill === null
        ? `${what}: none, ${reason}`
        : `${what}: decode ${decode.toFixed(2)}, prefill ${prefill.toFixed(2)}`,
    )
  }
}
