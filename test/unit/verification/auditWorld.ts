/** AuditWorld: verification with everybody around it: stages that answer or don't, auditors that compute or lie, and a ledger that counts. */

import type { Auditor, AvailableAuditor } from '../../../src/coordinator/verification/auditors.ts'
import type { FailureSeenBy, Leave, Verdict, VerificationEffect, VerificationEvent } from '../../../src/coordinator/verification/effects.ts'
import { Verification, type VerificationOptions } from '../../../src/coordinator/verification/verification.ts'
import type { Receipt } from '../../../src/protocol/index.ts'
import type { PeerId } from '../../../src/shared/index.ts'
import { grantOf, NOW_MS, peerOf, Ring, sessionOf } from './ring.ts'

/** Placeholders: of what is measured only the order matters here. */
const TOLERANCE = 0.01
const HONEST = 0.001
const WRONG = 1

type Conduct = 'honest' | 'cheats' | 'silent' | 'lies-as-auditor' | 'accomplice' | 'lost-as-auditor' | 'forges'

export interface SessionPlan {
  readonly stages?: readonly string[]
  readonly requester?: string
  readonly bend?: (receipts: Receipt[], ring: Ring) => readonly Receipt[]
  readonly failure?: FailureSeenBy
  /** Of the middle stage, in mid-session. */
  readonly leave?: 'announced' | 'lost'
  readonly ownGateway?: boolean
  readonly isCanary?: boolean
}

export class AuditWorld {
  readonly verification: Verification
  readonly conduct = new Map<string, Conduct>()
  readonly effects: VerificationEffect[] = []
  /** By claim: every end it ever came to. */
  readonly ends = new Map<string, string[]>()
  readonly verdicts: { readonly name: string; readonly verdict: Verdict }[] = []
  nowMs = NOW_MS
  #sessions = 0
  readonly #names: string[]

  constructor(names: readonly string[], options: Partial<VerificationOptions> = {}) {
    this.#names = [...names]
    this.verification = new Verification({
      candidates: () => this.candidates(),
      hasOwnEngine: () => false,
      hasCanaries: () => false,
      linked: () => false,
      random: () => 0.5,
      tolerance: () => TOLERANCE,
      holderOf: (peerId) => this.nameOf(peerId),
      networkOf: () => null,
      ...options,
    })
  }

  candidates(): AvailableAuditor[] {
    return this.#names.map((name) => ({ peerId: peerOf(name), holder: name, kind: 'loaded', network: null }))
  }

  nameOf(peerId: PeerId): string {
    return [...this.#names, 'driver', 'x'].find((name) => peerOf(name) === peerId) ?? peerId
  }

  /** One session from its grant to the last answer that it causes. Returns its id. */
  session({
    stages = ['a', 'b', 'c'],
    requester = 'requester',
    bend = (all) => all,
    failure,
    leave,
    ownGateway = false,
    isCanary = false,
  }: SessionPlan = {}): string {
    const sessionId = sessionOf(`session ${this.#sessions++}`)
    const grant = grantOf(stages, { sessionId })
    this.tell({ kind: 'opened', grant, requester, ownGateway, isCanary })
    let ring = new Ring(grant).submit('prompt', 20).flow().submit('decode', 10).flow()
    if (leave !== undefined) {
      const gone = stages[1] ?? ''
      const finals = ring.finals()
      for (const receipt of finals.toSpliced(2, 1)) this.tell({ kind: 'receipt', receipt })
      const left: Leave[] = [{ peerId: peerOf(gone), announced: leave === 'announced' }]
      const next = grantOf(stages.with(1, 'x'), { sessionId, revision: 1 })
      this.tell({ kind: 'repaired', grant: next, left })
      // Who says that it leaves signs as it goes; who is lost signs no more.
      if (leave === 'announced') for (const receipt of finals.slice(2, 3)) this.tell({ kind: 'receipt', receipt })
      ring = new Ring(next, ring).flow().submit('decode', 5).flow()
    }
    for (const receipt of bend(ring.finals(), ring)) this.tell({ kind: 'receipt', receipt })
    this.tell({ kind: 'closed', sessionId, failure: failure ?? null })
    this.wait(16_000)
    return sessionId
  }

  /** Time passes; who answers nothing runs out of it. */
  wait(durationMs: number): void {
    const untilMs = this.nowMs + durationMs
    while (this.nowMs < untilMs) {
      this.nowMs = Math.min(untilMs, this.nowMs + Math.max(1_000, durationMs / 100))
      this.tell({ kind: 'tick' })
    }
  }

  tell(event: VerificationEvent): void {
    const effects = this.verification.handle(event, this.nowMs)
    this.effects.push(...effects)
    for (const effect of effects) this.#carryOut(effect)
  }

  all<Kind extends VerificationEffect['kind']>(kind: Kind): Extract<VerificationEffect, { kind: Kind }>[] {
    return this.effects.filter((effect): effect is Extract<VerificationEffect, { kind: Kind }> => effect.kind === kind)
  }

  /** Claims of that peer, by how they ended; `open`: not yet. */
  outcome(name: string): string[] {
    return [...this.ends].filter(([claimId]) => claimId.endsWith(peerOf(name))).map(([, ends]) => ends.join('+') || 'open')
  }

  #carryOut(effect: VerificationEffect): void {
    switch (effect.kind) {
      case 'settle':
        for (const { claimId } of effect.claims) this.ends.set(claimId, [...(this.ends.get(claimId) ?? [])])
        break
      case 'release':
      case 'refund':
        this.ends.get(effect.claimId)?.push(`${effect.kind} ${effect.reason}`)
        break
      case 'challenge': {
        const conduct = this.conduct.get(this.nameOf(effect.peerId))
        if (conduct !== 'silent') this.tell({ kind: 'answered', claimId: effect.claimId, committed: conduct !== 'forges' })
        break
      }
      case 'audit':
        this.#audit(effect)
        break
      case 'verdict':
        this.verdicts.push({ name: this.nameOf(effect.peerId), verdict: effect.verdict })
        break
    }
  }

  #audit({ claimId, auditor, against }: Extract<VerificationEffect, { kind: 'audit' }>): void {
    const conductOf = (one: Auditor | null) => (one !== null && 'holder' in one ? this.conduct.get(one.holder) : undefined)
    if (conductOf(auditor) === 'lost-as-auditor') return this.tell({ kind: 'auditor-lost', claimId })
    const audited = this.#names.find((name) => claimId.endsWith(peerOf(name))) ?? 'x'
    const cheats = this.conduct.get(audited) === 'cheats'
    // An accomplice has the cheater's rows, who lies as an auditor has rows of its own; all others have the right ones.
    const rowsOf = (one: Auditor | null) =>
      conductOf(one) === 'lies-as-auditor' ? 'its own' : conductOf(one) === 'accomplice' && cheats ? 'wrong' : 'right'
    const apart = (here: string, there: string) => (here === there && here !== 'its own' ? HONEST : WRONG)
    const distance = apart(rowsOf(auditor), cheats ? 'wrong' : 'right')
    this.tell({ kind: 'audited', claimId, distance, between: against === null ? null : apart(rowsOf(auditor), rowsOf(against)) })
  }
}
