/**
 * `tabswarm audit`: real tabs answer while one of them cheats, and the coordinator audits as it always does. Prints whether it was found, when and
 * why, what its answers did, and what it was paid beside an honest tab. Ends with code 1 if an honest tab is blamed, or a cheat is not found.
 */

import type { Command } from 'commander'
import { ENGINE_CHEATS } from '../cheats/index.ts'
import type { Answer } from '../peer/index.ts'
import { required } from '../shared/index.ts'
import { AuditSwarm } from './auditSwarm.ts'
import { oneOf } from './listOptions.ts'
import { printJson, printLine, printNote, progressPrinter, UsageError, wholeNumber } from './output.ts'

interface AuditOptions {
  readonly tabs: number
  readonly stages: number
  readonly cheat: (typeof ENGINE_CHEATS)[number] | 'none'
  readonly cheatAfter: number
  readonly requests: number
  readonly seed: number
  readonly model: string
  readonly maxTokens: number
  readonly json: boolean
}

/** Tabs that are no neighbors of the audited one: a result that one contradicts needs another. */
const AUDITORS = 2
const MICRO_CREDITS = 1e6

const PROMPTS = [
  'Write one sentence about the sea.',
  'Name three colors.',
  'What is a lighthouse?',
  'Say good morning in French.',
  'Count from one to ten.',
]

export function registerAuditCommand(program: Command): void {
  program
    .command('audit')
    .description('let a tab cheat, and see whether audits find it')
    .option('--tabs <n>', 'volunteer tabs', wholeNumber('--tabs', 1, 16), 3)
    .option('--stages <n>', 'stages of a chain', wholeNumber('--stages', 1, 8), 1)
    .option('--cheat <kind>', `none, or ${ENGINE_CHEATS.join(', ')}`, oneOf('--cheat', ['none', ...ENGINE_CHEATS]), 'none')
    .option(
      '--cheat-after <n>',
      'sessions that the cheat computes honestly first, audits among them',
      wholeNumber('--cheat-after', 0, 10_000),
      0,
    )
    .option('--requests <n>', 'answers in all', wholeNumber('--requests', 1, 100_000), 16)
    .option('--seed <n>', 'of the questions', wholeNumber('--seed', 0, 2 ** 31 - 1), 1)
    .option('--model <id|file|url>', 'the model to serve', 'default')
    .option('--max-tokens <n>', 'of each answer', wholeNumber('--max-tokens', 2, 1_000), 8)
    .option('--json', 'one JSON object on stdout', false)
    .action(audit)
}

async function audit(options: AuditOptions): Promise<void> {
  const { tabs, stages, cheat, cheatAfter, requests, seed, maxTokens } = options
  if (cheat !== 'none' && tabs < stages + AUDITORS)
    throw new UsageError(
      `--tabs ${tabs} are too few: beside a chain of ${stages} it takes ${AUDITORS} auditors; use --tabs ${stages + AUDITORS}`,
    )
  const { resolveModel } = await import('../node/index.ts')
  const model = await resolveModel(options.model, progressPrinter('model'))
  const swarm = await AuditSwarm.open({
    model,
    tabs,
    stages,
    cheat: cheat === 'none' ? null : { kind: cheat, afterSessions: cheatAfter },
    maxTokens,
  })
  try {
    const asked = await askAll(swarm, options, { requests, seed })
    const figures = await figuresOf(swarm, asked, cheat !== 'none')
    if (options.json) printJson(figures)
    else for (const [name, value] of Object.entries(figures)) printLine(`${name.padEnd(24)} ${JSON.stringify(value)}`)
    if (figures.falsePositives > 0 || (figures.cheatsCommitted > 0 && !figures.detected)) process.exitCode = 1
  } finally {
    await swarm.close()
  }
}

interface Asked {
  readonly prompt: string
  readonly answer: Answer
  /** The dishonest tab computed a part of it, and had begun to cheat. */
  readonly isCheated: boolean
}

interface AskedAll {
  readonly all: readonly Asked[]
  /** Cheats until the first of them was found; null: none was. */
  readonly untilDetected: number | null
}

/** As many at once as there are chains without a tab in common: so each tab has its part of the work. */
async function askAll(
  swarm: AuditSwarm,
  { tabs, stages, cheat, cheatAfter }: AuditOptions,
  { requests, seed }: { readonly requests: number; readonly seed: number },
): Promise<AskedAll> {
  const suspect = required(swarm.peers[0], 'the first tab')
  const atOnce = Math.max(1, Math.min(4, Math.floor(tabs / stages)))
  const all: Asked[] = []
  let served = 0
  let untilDetected: number | null = null
  while (all.length < requests) {
    // Its engine cannot tell an audit from a session.
    const audited = swarm.tally.auditsBy(suspect)
    const prompt = required(PROMPTS[(seed + all.length) % PROMPTS.length], 'a prompt')
    for (const answer of await swarm.ask(prompt, Math.min(atOnce, requests - all.length))) {
      const isSuspects = answer.sessionId !== null && swarm.tally.hadPart(suspect, answer.sessionId)
      if (isSuspects) served++
      all.push({ prompt, answer, isCheated: cheat !== 'none' && isSuspects && served + audited > cheatAfter })
    }
    const cheats = all.filter(({ isCheated }) => isCheated).length
    if (swarm.tally.failuresOf(suspect) > 0) untilDetected ??= cheats
    printNote(
      `${all.length} of ${requests} answers, ${cheats} cheated, ${swarm.tally.audits} audits${untilDetected === null ? '' : ', found'}`,
    )
  }
  return { all, untilDetected }
}

async function figuresOf(swarm: AuditSwarm, { all, untilDetected }: AskedAll, hasCheat: boolean) {
  const { tally, peers } = swarm
  const [suspect, ...others] = [required(peers[0], 'the first tab'), ...peers.slice(1)]
  const honest = new Map(all.filter(({ isCheated }) => !isCheated).map(({ prompt, answer }) => [prompt, answer.completionTokenIds.join()]))
  const isWrong = ({ prompt, answer }: Asked) => honest.has(prompt) && honest.get(prompt) !== answer.completionTokenIds.join()
  const paid = await Promise.all(others.map((peerId) => swarm.paidTo(peerId)))
  const falsePositives = tally.failuresOfOthers(suspect) + (hasCheat ? 0 : tally.failuresOf(suspect))
  return {
    requests: all.length,
    cheatsCommitted: all.filter(({ isCheated }) => isCheated).length,
    audits: tally.audits,
    auditsByKind: tally.auditsByKind,
    detected: hasCheat && tally.failuresOf(suspect) > 0,
    requestsUntilDetected: untilDetected,
    reason: hasCheat ? tally.reasonOf(suspect) : null,
    wrongAnswersDelivered: all.filter(isWrong).length,
    paidToCheater: hasCheat ? credits(await swarm.paidTo(suspect)) : 0,
    paidToHonestTwin: credits(paid[0] ?? 0n),
    paidToHonest: credits(paid.reduce((sum, amount) => sum + amount, hasCheat ? 0n : await swarm.paidTo(suspect))),
    extraComputePercent: Math.round(10 * tally.extraComputePercent) / 10,
    falsePositives,
  }
}

function credits(microCredits: bigint): number {
  return Number(microCredits) / MICRO_CREDITS
}
