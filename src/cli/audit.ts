/**
 * `tabswarm audit`: real tabs answer while one of them cheats, and the coordinator audits as it always does. Prints whether it was found, when and
 * why, what its answers did, and what it was paid beside an honest tab. Ends with code 1 if an honest tab is blamed, or a cheat is not found.
 */

import type { Command } from 'commander'
import { CHEATS, type Cheat, isSpeedLie } from '../cheats/index.ts'
import type { Answer } from '../peer/index.ts'
import { type PeerId, required } from '../shared/index.ts'
import { AuditSwarm } from './auditSwarm.ts'
import { oneOf } from './listOptions.ts'
import { printJson, printLine, printNote, progressPrinter, UsageError, wholeNumber } from './output.ts'

interface AuditOptions {
  readonly tabs: number
  readonly stages: number
  readonly cheat: Cheat | 'none'
  readonly cheatAfter: number
  readonly requests: number
  readonly seed: number
  readonly model: string
  readonly maxTokens: number
  readonly json: boolean
}

/** Tabs that are no neighbors of the audited one: a result that one contradicts needs another, and an accomplice is a third. */
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
    .option('--cheat <kind>', `none, or ${CHEATS.join(', ')}`, oneOf('--cheat', ['none', ...CHEATS]), 'none')
    .option(
      '--cheat-after <n>',
      'sessions of its own that the cheating tab computes honestly first; audits of others it always does',
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
  const auditors = cheat === 'collude' ? AUDITORS + 1 : AUDITORS
  const least = stages * (1 + auditors)
  if (cheat !== 'none' && tabs < least)
    throw new UsageError(
      `--tabs ${tabs} are too few: each stage of a chain needs ${auditors} tabs beside it that could audit it; use --tabs ${least}`,
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
    const figures = await figuresOf(swarm, asked, cheat)
    if (options.json) printJson(figures)
    else for (const [name, value] of Object.entries(figures)) printLine(`${name.padEnd(24)} ${JSON.stringify(value)}`)
    const isWorthless = isSpeedLie(cheat) ? figures.paidToCheater <= figures.paidToHonestTwin : figures.detected
    const isShown = cheat === 'none' || figures.cheatsCommitted > 0
    if (!isShown)
      printNote(`the tab that cheats has computed fewer than ${cheatAfter} answers and never cheated: ask for more with --requests`)
    if (figures.falsePositives > 0 || !isShown || (figures.cheatsCommitted > 0 && !isWorthless)) process.exitCode = 1
  } finally {
    await swarm.close()
  }
}

interface Asked {
  readonly prompt: string
  readonly answer: Answer
  /** The dishonest tab computed a part of it, and may have begun to cheat. */
  readonly isDoubtful: boolean
}

interface AskedAll {
  readonly all: readonly Asked[]
  /** Answers that the dishonest tab has cheated in. */
  readonly cheats: number
  /** Of them, those until the first of them was found; null: none was. */
  readonly untilDetected: number | null
}

/** As many at once as there are chains without a tab in common: so each tab has its part of the work. */
async function askAll(
  swarm: AuditSwarm,
  { tabs, stages, cheat, cheatAfter }: AuditOptions,
  { requests, seed }: { readonly requests: number; readonly seed: number },
): Promise<AskedAll> {
  const { suspect } = swarm
  // One after the other where the question is who is thought to be the fastest.
  const atOnce = isSpeedLie(cheat) ? 1 : Math.max(1, Math.min(4, Math.floor(tabs / stages)))
  const all: Asked[] = []
  // As its engine counts: sessions, not audits.
  let served = 0
  const cheats = () => (cheat === 'none' ? 0 : Math.max(0, served - cheatAfter))
  let untilDetected: number | null = null
  while (all.length < requests) {
    // Each another question: what colluders tell each other of a session is of that one alone.
    const prompts = Array.from({ length: Math.min(atOnce, requests - all.length) }, (_, index) =>
      required(PROMPTS[(seed + all.length + index) % PROMPTS.length], 'a prompt'),
    )
    const answers = await swarm.ask(prompts)
    const round = prompts.map((prompt, index) => {
      const answer = required(answers[index], 'an answer')
      return { prompt, answer, isSuspects: isBy(suspect, answer) }
    })
    served += round.filter(({ isSuspects }) => isSuspects).length
    // Which of one round's were opened first nobody knows here.
    for (const { isSuspects, ...asked } of round) all.push({ ...asked, isDoubtful: isSuspects && cheats() > 0 })
    if (swarm.tally.failuresOf(suspect) > 0) untilDetected ??= cheats()
    printNote(
      `${all.length} of ${requests} answers, ${cheats()} cheated, ${swarm.tally.audits} audits${untilDetected === null ? '' : ', found'}`,
    )
  }
  return { all, cheats: cheats(), untilDetected }
}

async function figuresOf(swarm: AuditSwarm, { all, cheats, untilDetected }: AskedAll, cheat: Cheat | 'none') {
  const { tally, suspect, accomplice } = swarm
  const hasCheat = cheat !== 'none'
  const honest = new Map(
    all.filter(({ isDoubtful }) => !isDoubtful).map(({ prompt, answer }) => [prompt, answer.completionTokenIds.join()]),
  )
  const isWrong = ({ prompt, answer }: Asked) => honest.has(prompt) && honest.get(prompt) !== answer.completionTokenIds.join()
  const paidToSuspect = credits(await swarm.paidTo(suspect))
  const paid = await Promise.all(swarm.honest.map(async (peerId) => credits(await swarm.paidTo(peerId))))
  const paidToOthers = paid.reduce((sum, amount) => sum + amount, 0)
  const sessionsOf = (peerId: PeerId) => all.filter(({ answer }) => isBy(peerId, answer)).length
  const sessions = swarm.honest.reduce((sum, peerId) => sum + sessionsOf(peerId), 0)
  // A lie about speed is for getting more to do, all others are for being paid for as much.
  const twins = isSpeedLie(cheat) ? 1 / swarm.honest.length : sessionsOf(suspect) / Math.max(1, sessions)
  const dishonest = [...(hasCheat ? [suspect] : []), ...(accomplice === null ? [] : [accomplice])]
  return {
    requests: all.length,
    cheatsCommitted: cheats,
    audits: tally.audits,
    auditsByKind: tally.auditsByKind,
    detected: hasCheat && tally.failuresOf(suspect) > 0,
    requestsUntilDetected: untilDetected,
    reason: hasCheat ? tally.reasonOf(suspect) : null,
    wrongAnswersDelivered: all.filter(isWrong).length,
    paidToCheater: hasCheat ? paidToSuspect : 0,
    paidToHonestTwin: microCredits(twins * paidToOthers),
    paidToHonest: microCredits(paidToOthers + (hasCheat ? 0 : paidToSuspect)),
    extraComputePercent: Math.round(10 * tally.extraComputePercent) / 10,
    falsePositives: tally.failuresOfOthers(dishonest),
  }
}

/** Whether that tab was a stage of it when it ended. */
function isBy(peerId: PeerId, { stages }: Answer): boolean {
  return stages.some((stage) => stage.peerId === peerId)
}

/** Credits, to the millionth. */
function microCredits(amount: number): number {
  return Math.round(amount * MICRO_CREDITS) / MICRO_CREDITS
}

function credits(microCredits: bigint): number {
  return Number(microCredits) / MICRO_CREDITS
}
