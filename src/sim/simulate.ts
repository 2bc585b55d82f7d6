/**
 * simulate: one run of a swarm in virtual time, from one seed: the real coordinator core, driver, protocol and stages over modelled
 * compute and links; tabs come and go, faults strike, sessions are asked for, and invariants are watched. Equal options give equal runs.
 */

import type { CoreOptions } from '../coordinator/core/index.ts'
import { readReceipt, type SignedReceipt } from '../protocol/index.ts'
import { type ManifestHash, type PeerId, required, type SessionId, type Signer } from '../shared/index.ts'
import { Chance } from './chance.ts'
import { Coordinator, type CoordinatorOptions } from './coordinator.ts'
import { type Disturbance, Disturbances } from './disturbances.ts'
import { sha256, signer, verify } from './fakeCrypto.ts'
import { Faults } from './faults.ts'
import { type Counts, Invariants } from './invariants.ts'
import { drawLine, type LineMix } from './lines.ts'
import { Measures } from './measures.ts'
import { Network } from './network.ts'
import { drawQuestion, type Lengths, type Question } from './question.ts'
import { ReceiptCheck } from './receiptCheck.ts'
import { type Asking, type Outcome, RequesterTab } from './requesterTab.ts'
import type { Scenario } from './scenario.ts'
import { Trace } from './trace.ts'
import { VirtualTime } from './virtualTime.ts'
import { type VolunteerOptions, VolunteerTab } from './volunteerTab.ts'

export interface SimulationOptions {
  readonly scenario: Scenario
  /** Tabs at a time, volunteers and requesters. */
  readonly peers: number
  readonly durationMs: number
  readonly seed: number
  /** Questions, beside those of crowds. */
  readonly sessions: number
  /** Whether a crowd's questions are taken from those that were still to come: so many in all. */
  readonly crowdsAmongThem: boolean
  /** Tabs that go; as many come, and those of the beginning. */
  readonly leaves: number
  /** Of other kinds, see FaultKind. */
  readonly faults: number
  /** Questions of a crowd. */
  readonly crowdSize: number
  readonly prompt: Lengths
  readonly answer: Lengths
  readonly stagesMin: number
  readonly tickMs: number
  /** Of each stage's activation log. */
  readonly logBytesMax: number
  /** A run that has fewer of something proves nothing: it breaks as `too-little`. Tabs at a time (nobody leaves these), sessions served to an end, faults. */
  readonly least: Counts
  /** Whether tabs sign receipts, which are compared. */
  readonly receipts: boolean
  /** Volunteers'. */
  readonly lines: LineMix
  /** Everybody has come, and all but slow lines have loaded, by then. */
  readonly settleMs: number
  /** Until one who left is replaced, on average. */
  readonly returnMs: number
  /** Calls back when no promise has anything more to do: what an event has led to is done before the next. */
  readonly drain: (callback: () => void) => void
  /** For tests of the invariants. */
  readonly sabotage?: Pick<CoordinatorOptions, 'makeCore'> & Pick<VolunteerOptions, 'makeEngine'>
}

/** Tabs that ask, of all. */
const REQUESTER_SHARE = 0.05
const REQUESTERS_MIN = 3
/** Of those that go. */
const REQUESTER_LEAVES_SHARE = 0.05
/** One volunteer of so many claims ten times its speed. */
const LIAR_AMONG = 100
/** Time of the beginning: any date will do. */
const START_MS = 1_700_000_000_000
/** Who was refused, for lack of capacity or because his tab slept, asks something else after this, as somebody does whose tab was closed; for so long after everything else has happened. */
const ASK_AGAIN_MS = 5_000
const ASK_LONGER_MS = 600_000
/** A fault that finds no subject is tried again after this. */
const STRIKE_AGAIN_MS = 1_000
/** After the last session everything must have been freed: idle sessions after 60 s, missed drivers after 15 and 30. */
const QUIET_MS = 150_000
/** What happened to a tab has effects for so long: links are given up after 15 s, sockets after 30. */
const DISTURBED_MS = 30_000

export async function simulate(options: SimulationOptions): Promise<Measures> {
  return new Simulation(options).run()
}

class Simulation {
  readonly #options: SimulationOptions
  readonly #time = new VirtualTime(START_MS)
  readonly #trace = new Trace(() => this.#time.nowMs - START_MS)
  readonly #volunteers = new Map<PeerId, VolunteerTab>()
  readonly #requesters = new Map<PeerId, RequesterTab>()
  readonly #arrivals: Chance
  readonly #comings: Chance
  readonly #faulting: Chance
  readonly #lines: Chance
  readonly #network: Network
  readonly #coordinator: Coordinator
  readonly #invariants: Invariants
  readonly #faults: Faults
  readonly #measures: Measures
  readonly #receiptCheck: ReceiptCheck
  readonly #models: CoreOptions['models']
  readonly #disturbances = new Disturbances()
  readonly #endMs: number
  #peerNumber = 1
  #sessionNumber = 1
  /** Questions of people who ask again, to come. */
  #questionsDue = 0
  /** Questions to come that crowds have asked already. */
  #askedByCrowds = 0

  constructor(options: SimulationOptions) {
    const { scenario, seed, stagesMin, tickMs, logBytesMax, crowdSize, durationMs } = options
    this.#options = options
    this.#endMs = START_MS + durationMs
    this.#arrivals = new Chance(seed, 1)
    this.#comings = new Chance(seed, 2)
    this.#faulting = new Chance(seed, 3)
    this.#lines = new Chance(seed, 5)
    this.#models = scenario.models.map(({ swarm }, index) => ({ ...swarm, manifestHash: hash(index) }))
    const { within, between } = scenario.rttMs
    const rttMs = (a: { readonly region: string }, b: { readonly region: string }) => (a.region === b.region ? within : between)
    this.#network = new Network({
      time: this.#time,
      chance: new Chance(seed, 4),
      rttMs,
      onAccusation: (accusation) => this.#invariants.onAccusation(accusation),
    })
    this.#invariants = new Invariants({
      models: this.#models,
      trace: this.#trace,
      nowMs: () => this.#time.nowMs,
      logBytesMax,
      volunteers: this.#volunteers,
      hasSocket: (peerId) => this.#coordinator.hasSocket(peerId),
      askings: () => this.#askings(),
      disturbances: this.#disturbances,
    })
    this.#measures = new Measures(START_MS)
    this.#receiptCheck = new ReceiptCheck({
      nowMs: () => this.#time.nowMs,
      ask: (peerId, wanted) => (this.#volunteers.get(peerId) ?? this.#requesters.get(peerId))?.ask(wanted),
      isUndisturbed: (peerIds, sinceMs) => this.#disturbances.countSince(peerIds, sinceMs - DISTURBED_MS) === 0,
      onBroken: (sessionId, what) => this.#invariants.break('receipts', `session ${sessionId}: ${what}`, [sessionId]),
    })
    this.#coordinator = new Coordinator({
      core: { models: this.#models, stagesMin, rowEncoding: 'f16e', kernelVersion: null },
      newSessionId: () => (this.#sessionNumber++).toString(16).padStart(32, '0') as SessionId,
      network: this.#network,
      signer,
      tickMs,
      ...options.sabotage,
      onGrant: (grant) => {
        this.#trace.add(`session ${grant.sessionId} revision ${grant.revision} over ${grant.stages.map(describeStage).join(', ')}`)
        this.#invariants.onGrant(grant)
        if (options.receipts) this.#receiptCheck.onGrant(grant)
      },
      onEnded: (sessionId) => {
        this.#invariants.onEnded(sessionId)
        this.#receiptCheck.onEnded(sessionId)
      },
      onDisconnected: (peerId) => this.#invariants.onDisconnected(peerId),
      onReceipt: (peerId, signed) => this.#onReceipt(peerId, signed),
    })
    this.#faults = new Faults({
      chance: this.#faulting,
      network: this.#network,
      volunteers: this.#volunteers,
      requesters: this.#requesters,
      busy: () => this.#busy(),
      crowd: (count) => this.#crowd(count),
      crowdSize,
      disturb: (tab, disturbance, what) => this.#disturb(tab.peerId, disturbance, what),
    })
  }

  async run(): Promise<Measures> {
    this.#begin()
    await this.#until(this.#endMs, () => false)
    // What is open may end; nothing more is done to anybody.
    await this.#until(Number.POSITIVE_INFINITY, () => this.#questionsDue === 0 && [...this.#askings()].length === 0)
    // Who is frozen does what it has to when it thaws.
    const thawedMs = Math.max(this.#time.nowMs, ...[...this.#volunteers.values()].map(({ frozenUntilMs }) => frozenUntilMs))
    await this.#until(thawedMs + QUIET_MS, () => false)
    this.#invariants.checkEnd(this.#coordinator.openSessions)
    this.#invariants.checkEnough(this.#measures.countsWith(this.#faults.counts), this.#options.least)
    return this.#measures.end({
      broken: this.#invariants.broken,
      holesMs: this.#invariants.holesMs,
      faults: this.#faults.counts,
      events: this.#time.events,
      held: this.#held(),
      receipts: this.#receiptCheck.figures,
    })
  }

  /** Events happen until `endMs`, until `isDone`, or until an invariant breaks. */
  #until(endMs: number, isDone: () => boolean): Promise<void> {
    const { drain } = this.#options
    return new Promise((resolve, reject) => {
      const next = () => {
        try {
          if (this.#invariants.broken === null && !isDone() && this.#time.step(endMs)) drain(next)
          else resolve()
        } catch (error) {
          reject(error)
        }
      }
      next()
    })
  }

  #begin(): void {
    const { peers, sessions, leaves, faults, settleMs, durationMs, tickMs } = this.#options
    const requesters = Math.max(REQUESTERS_MIN, Math.round(REQUESTER_SHARE * peers))
    const spreadMs = settleMs / 2
    const volunteers = peers - requesters
    for (let index = 0; index < volunteers; index++) this.#time.after((spreadMs * index) / volunteers, null, () => this.#join())
    for (let index = 0; index < requesters; index++) this.#time.after(0, null, () => this.#comeToAsk())
    const often = (count: number, chance: Chance, happen: () => void) => {
      for (let index = 0; index < count; index++) this.#time.after(chance.between(settleMs, durationMs), null, happen)
    }
    often(sessions, this.#arrivals, () => {
      if (this.#askedByCrowds > 0) this.#askedByCrowds--
      else this.#ask()
    })
    often(leaves, this.#comings, () => this.#tryUntilDone(() => this.#leave()))
    often(faults, this.#faulting, () => this.#tryUntilDone(() => this.#faults.strike()))
    const tick = () => {
      this.#invariants.check()
      this.#receiptCheck.tick()
      if (this.#time.nowMs >= START_MS + settleMs) this.#measures.present(this.#volunteers.size + this.#requesters.size)
      this.#time.after(tickMs, null, tick)
    }
    tick()
  }

  #join(): void {
    const { logBytesMax, scenario, lines, sabotage } = this.#options
    const group = required(scenario.groups[this.#comings.weighted(this.#missing())], 'a group that misses a tab')
    const isLiar = this.#measures.joins % LIAR_AMONG === LIAR_AMONG / 2
    const tab = new VolunteerTab({
      peerId: this.#newPeerId(),
      group,
      isLiar,
      downloadBytesPerMs: drawLine(lines, this.#lines),
      network: this.#network,
      coordinator: this.#coordinator,
      models: this.#models,
      logBytesMax,
      verify,
      sha256,
      signer: this.#signer,
      coordinatorKey: signer.publicKey,
      ...sabotage,
      events: {
        onMove: () => this.#measures.moves++,
        onLessServed: () => this.#invariants.onLessServed(),
        onWork: ({ host, engine, peerId }) => this.#invariants.onWork(peerId, host.logBytes, engine.kvPositions),
        onBroken: ({ peerId }, kind, what) => this.#invariants.break(kind, `${peerId}: ${what}`, [peerId]),
      },
    })
    this.#volunteers.set(tab.peerId, tab)
    this.#measures.joins++
    if (isLiar) this.#measures.liars++
    this.#trace.add(`${tab.peerId} joins`)
  }

  /** How many tabs of each group there are too few, with the one that comes, for the scenario's mix. */
  #missing(): number[] {
    const { groups } = this.#options.scenario
    const present = [...this.#volunteers.values()]
    const all = groups.reduce((sum, { count }) => sum + count, 0)
    return groups.map((group) => {
      const wanted = (group.count / all) * (present.length + 1)
      return Math.max(0, wanted - present.filter((tab) => tab.group === group).length)
    })
  }

  #comeToAsk(): void {
    const regions = [...new Set(this.#options.scenario.groups.map(({ region }) => region))]
    const tab = new RequesterTab({
      peerId: this.#newPeerId(),
      region: this.#comings.pick(regions) ?? '',
      network: this.#network,
      coordinator: this.#coordinator,
      signer: this.#signer,
      sha256,
      events: {
        onSubmitted: ({ sessionId, askedMs }, rowCount) => {
          if (sessionId !== null && this.#options.receipts) this.#receiptCheck.onSubmitted(sessionId, askedMs, rowCount)
        },
        onOutcome: (asking, outcome) => this.#onOutcome(asking, outcome),
        onRepair: (asking, repair) => {
          const isLoss = repair.phase === 'lost'
          this.#trace.add(`session ${asking.sessionId} ${repair.phase}${isLoss ? ` at ${asking.tokens}: ${repair.message}` : ''}`)
          if (isLoss) this.#invariants.onLoss(asking, repair)
          if (repair.phase === 'granted') this.#invariants.onAdopted(repair.grant)
        },
        onWrong: (asking, what) => this.#invariants.onWrong(asking, what),
      },
    })
    this.#requesters.set(tab.peerId, tab)
    this.#measures.joins++
  }

  #tryUntilDone(happen: () => boolean): void {
    if (!happen() && this.#time.nowMs < this.#endMs) this.#time.after(STRIKE_AGAIN_MS, null, () => this.#tryUntilDone(happen))
  }

  /** Somebody goes, and another comes a while after; false where there is nobody, or nobody too many. */
  #leave(): boolean {
    const { returnMs, least } = this.#options
    if (this.#volunteers.size + this.#requesters.size <= least.peers) return false
    const backMs = this.#comings.wait(returnMs)
    const requester = this.#comings.happens(REQUESTER_LEAVES_SHARE) ? this.#comings.pick([...this.#requesters.values()]) : undefined
    if (requester !== undefined) {
      requester.leave(this.#comings.happens(0.5))
      this.#requesters.delete(requester.peerId)
      this.#disturb(requester.peerId, { untilMs: Number.POSITIVE_INFINITY, isSilent: true }, 'stops asking')
      this.#time.after(backMs, null, () => this.#comeToAsk())
    } else {
      const gone = this.#faults.leave()
      if (gone === null) return false
      this.#volunteers.delete(gone.peerId)
      this.#invariants.onLessServed()
      this.#time.after(backMs, null, () => this.#join())
    }
    this.#measures.leaves++
    return true
  }

  #crowd(count: number): void {
    if (this.#options.crowdsAmongThem) this.#askedByCrowds += count
    for (let index = 0; index < count; index++) this.#time.after(this.#arrivals.between(0, 5_000), null, () => this.#ask())
  }

  #ask(): void {
    const { scenario, prompt, answer } = this.#options
    const requester = this.#arrivals.pick([...this.#requesters.values()])
    const isLater = this.#time.nowMs - START_MS > this.#options.durationMs / 2
    const wanted = scenario.models.map(({ sessions, sessionsLater }) => (isLater ? sessionsLater : sessions))
    const model = this.#models[this.#arrivals.weighted(wanted)]
    if (requester === undefined || model === undefined) return
    const question = drawQuestion(this.#arrivals, model, prompt, answer)
    this.#measures.asked++
    this.#questionsDue++
    this.#time.after(0, null, () => this.#pose(requester, question))
  }

  /** One that is frozen asks when it thaws, and is waited for; one that is gone by then does not. */
  #pose(requester: RequesterTab, question: Question): void {
    const { isDead, frozenUntilMs } = requester
    if (!isDead && frozenUntilMs > this.#time.nowMs) return void this.#time.at(frozenUntilMs, null, () => this.#pose(requester, question))
    this.#questionsDue--
    if (!isDead) requester.pose(question)
  }

  #onOutcome(asking: Asking, outcome: Outcome): void {
    this.#measures.count(asking, outcome, this.#time.nowMs)
    if (outcome.kind === 'failed') this.#trace.add(`session ${asking.sessionId} fails at ${asking.tokens}: ${outcome.message}`)
    this.#invariants.onOutcome(asking, outcome)
    if (outcome.kind === 'answered' && asking.sessionId !== null) this.#receiptCheck.onAnswered(asking.sessionId)
    if ((outcome.kind !== 'refused' && outcome.kind !== 'left') || this.#time.nowMs > this.#endMs + ASK_LONGER_MS) return
    this.#questionsDue++
    this.#time.after(ASK_AGAIN_MS, null, () => {
      this.#questionsDue--
      this.#ask()
    })
  }

  #onReceipt(peerId: PeerId, signed: SignedReceipt): void {
    const read = readReceipt(signed)
    if (read.ok) this.#receiptCheck.onReceipt(peerId, read.value)
    else this.#invariants.break('receipts', `${peerId}: ${read.error}`, [peerId])
  }

  get #signer(): Signer | null {
    return this.#options.receipts ? signer : null
  }

  #disturb(peerId: PeerId, disturbance: Omit<Disturbance, 'fromMs'>, what: string): void {
    this.#disturbances.add(peerId, { fromMs: this.#time.nowMs, ...disturbance })
    this.#trace.add(`${peerId} ${what}`)
  }

  #busy(): VolunteerTab[] {
    return [...this.#volunteers.values()].filter(({ host }) => host.sessionsOpen > 0)
  }

  *#askings(): Generator<Asking> {
    for (const requester of this.#requesters.values()) yield* requester.askings
  }

  /** Which spans are served at the end, by group and model. */
  #held() {
    return [...this.#volunteers.values()].flatMap(({ served, group }) =>
      served === null
        ? []
        : [{ group: this.#options.scenario.groups.indexOf(group), model: this.#models.indexOf(served.model), span: served.span }],
    )
  }

  #newPeerId(): PeerId {
    return (this.#peerNumber++).toString(16).padStart(32, '0') as PeerId
  }
}

function describeStage({ peerId, firstLayer, endLayer }: { peerId: PeerId; firstLayer: number; endLayer: number }): string {
  return `${peerId} ${firstLayer}–${endLayer - 1}`
}

function hash(index: number): ManifestHash {
  return index.toString(16).padStart(64, '0') as ManifestHash
}
