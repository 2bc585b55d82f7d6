/**
 * `tabswarm chaos`: answers by real tabs that are closed, crashed, frozen, cut off or robbed of their GPU in mid-answer, compared token by
 * token with the same answers undisturbed. Ends with code 1 if any differs or fails.
 */

import type { Command } from 'commander'
import { xoroshiro128plus } from 'pure-rand/generator/xoroshiro128plus'
import { median } from '../kernels/suite/index.ts'
import type { EngineChoice } from '../peer/index.ts'
import { TabswarmError } from '../shared/index.ts'
import { planChaos, tabsNeeded } from './chaosPlan.ts'
import type { Recovery, Unrecovered } from './chaosRecoveries.ts'
import { ChaosSwarm } from './chaosSwarm.ts'
import { printJson, printLine, printNote, progressPrinter, UsageError, wholeNumber } from './output.ts'
import { parseEngine } from './serve.ts'

interface ChaosOptions {
  readonly tabs: number
  readonly stages?: number
  /** That hit something. */
  readonly kills: number
  readonly seed: number
  readonly model: string
  readonly engine: EngineChoice
  readonly maxTokens: number
  readonly json: boolean
}

export function registerChaosCommand(program: Command): void {
  program
    .command('chaos')
    .description('kill tabs in mid-answer and compare the answers with undisturbed ones')
    .option('--tabs <n>', 'volunteer tabs', wholeNumber('--tabs', 2, 16), 4)
    .option('--stages <n>', 'stages of a chain (default: half of the tabs)', wholeNumber('--stages', 1, 8))
    .option('--kills <n>', 'in all', wholeNumber('--kills', 1, 1_000), 10)
    .option('--seed <n>', 'of what is killed, how and when', wholeNumber('--seed', 0, 2 ** 31 - 1), 1)
    .option('--model <id|file|url>', 'the model to serve', 'default')
    .option('--engine <engine>', 'engine of the tabs: webgpu, wasm (no GPU), or auto: the faster one', parseEngine, 'auto')
    .option('--max-tokens <n>', 'of each answer', wholeNumber('--max-tokens', 4, 1_000), 40)
    .option('--json', 'one JSON object on stdout', false)
    .action(chaos)
}

/** Answers in which kills may come too late before a run gives up. */
const [ROUNDS_FREE, ROUNDS_A_KILL] = [10, 4]

async function chaos(options: ChaosOptions): Promise<void> {
  const { tabs, kills, seed, engine, maxTokens } = options
  const stages = options.stages ?? Math.max(1, Math.floor(tabs / 2))
  const needed = tabsNeeded(stages, kills)
  if (tabs < needed)
    throw new UsageError(
      `--tabs ${tabs} are too few for chains of ${stages}: one answer may lose ${needed - stages}, and nobody takes their place; use --tabs ${needed} or fewer --stages`,
    )
  const { resolveModel } = await import('../node/index.ts')
  const model = await resolveModel(options.model, progressPrinter('model'))
  const rounds = planChaos({ stages, maxTokens, kinds: engine === 'wasm' ? 'without-gpu' : 'all', random: xoroshiro128plus(seed) })
  const swarm = await ChaosSwarm.open({ model, tabs, stages, engine, maxTokens })
  const recoveries: Recovery[] = []
  const unrecovered: Unrecovered[] = []
  let [done, differences, nearTies, failures] = [0, 0, 0, 0]
  try {
    let left = ROUNDS_FREE + ROUNDS_A_KILL * kills
    for (const round of rounds) {
      if (left-- === 0)
        throw new TabswarmError(
          'no-kills',
          `${done} of ${kills} kills came before an answer's end: answers of ${maxTokens} tokens are too short; raise --max-tokens`,
        )
      const outcome = await swarm.play({ ...round, kills: round.kills.slice(0, kills - done) })
      done += outcome.kills
      recoveries.push(...outcome.recoveries)
      unrecovered.push(...outcome.unrecovered)
      if (outcome.verdict === 'different') differences++
      if (outcome.verdict === 'near-tie') nearTies++
      if (outcome.verdict === 'failed') failures++
      printNote(`${done} of ${kills} kills: ${outcome.note}`)
      if (done >= kills) break
    }
  } finally {
    await swarm.close()
  }
  const { prefillTokensPerSecond } = swarm
  const sums = { kills: done, differences, nearTies, failures, unrecovered, ...mediansOf(recoveries, prefillTokensPerSecond) }
  if (options.json) printJson({ ...sums, recoveries, prefillTokensPerSecond })
  else printTable(recoveries, sums)
  if (differences + failures > 0) process.exitCode = 1
}

interface Medians {
  readonly medianRecoveryMs: number | null
  /** What is wanted of it: 2 s, and what computing the median of the positions that were sent again takes as a prompt, in the same run. */
  readonly wantedRecoveryMs: number | null
}

function mediansOf(recoveries: readonly Recovery[], prefillTokensPerSecond: number | null): Medians {
  if (recoveries.length === 0) return { medianRecoveryMs: null, wantedRecoveryMs: null }
  const replayed = median(recoveries.map(({ replayedPositions }) => replayedPositions))
  return {
    medianRecoveryMs: median(recoveries.map(({ ms }) => ms)),
    wantedRecoveryMs: prefillTokensPerSecond === null ? null : 2_000 + (1_000 * replayed) / prefillTokensPerSecond,
  }
}

interface Sums extends Medians {
  readonly kills: number
  readonly differences: number
  readonly nearTies: number
  readonly failures: number
  readonly unrecovered: readonly Unrecovered[]
}

function printTable(
  recoveries: readonly Recovery[],
  { kills, differences, nearTies, failures, unrecovered, medianRecoveryMs, wantedRecoveryMs }: Sums,
): void {
  printLine('kind     at token  replayed  noticed  replaced  connected  replayed in  in all, ms')
  for (const { kind, atToken, replayedPositions, detectMs, loadMs, reconnectMs, replayMs, ms } of recoveries) {
    const times = [detectMs, loadMs, reconnectMs, replayMs, ms].map((value) => value.toFixed(0).padStart(8)).join('  ')
    printLine(`${kind.padEnd(8)} ${String(atToken).padStart(8)}  ${String(replayedPositions).padStart(8)} ${times}`)
  }
  for (const { kind, atToken, why } of unrecovered) printLine(`${kind.padEnd(8)} ${String(atToken).padStart(8)}  ${why}`)
  printLine(
    `${kills} kills, ${differences} differences, ${nearTies} near ties, ${failures} failed, ${unrecovered.length} without a recovery of their own, median recovery ${medianRecoveryMs?.toFixed(0) ?? '–'} ms (wanted: ${wantedRecoveryMs?.toFixed(0) ?? '–'})`,
  )
}
