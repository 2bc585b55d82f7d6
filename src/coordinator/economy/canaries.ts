/**
 * Canaries: where nobody may audit what a peer computed, a session of the coordinator's own goes through the swarm: a question like a person's, asked by
 * the gateway's driver as any other, paid out of what sessions have paid for verification, and audited whole by the coordinator's own engine. One at a time
 * and seldom; until each peer that is in doubt has been a stage of one.
 */

import type { ModelConfig } from '../../model/index.ts'
import type { Grant } from '../../protocol/index.ts'
import { type Clock, type ModelId, type PeerId, required, toHex } from '../../shared/index.ts'
import { LedgerError, type LedgerEvent, type PriceTable } from '../ledger/index.ts'
import { canaryQuestion } from './canaryPrompts.ts'
import { CANARY_GAP_MS, CANARY_WANTED_MS, CANARY_WANTED_PEERS_MAX } from './limits.ts'
import type { Payments } from './payments.ts'
import type { EconomyStore } from './ports.ts'
import { sessionPrice } from './pricing.ts'

/** Who asks: the gateway's driver, as for its clients. */
export interface CanaryDriver {
  /** A question in the form in which people ask that model. */
  prepare(modelId: ModelId, text: string): Promise<PreparedCanary>
}

export interface PreparedCanary {
  /** As the model reads it. */
  readonly promptTokens: number
  /** Resolves when it was answered. */
  ask(terms: CanaryTerms): Promise<void>
}

export interface CanaryTerms {
  readonly maxTokens: number
  readonly temperature: number
  readonly seed: number
  readonly voucher: string
}

export interface CanariesOptions {
  readonly driver: CanaryDriver
  readonly store: Pick<EconomyStore, 'accounts' | 'ledger'>
  readonly payments: Pick<Payments, 'begin'>
  readonly models: ReadonlyMap<ModelId, ModelConfig>
  readonly prices: PriceTable
  readonly randomBytes: (count: number) => Uint8Array
  readonly random: () => number
  readonly clock: Clock
  readonly onPosted: (event: LedgerEvent) => void
  readonly log: (line: string) => void
}

interface Wanted {
  readonly modelId: ModelId
  readonly untilMs: number
}

/** Whose they are: an account that nobody can sign in to, since this is no key. */
const IDENTITY = { kind: 'key', subject: 'canaries' } as const
const NAME = 'Canaries'
const TIER = 'standard'
const REFERENCE_BYTES = 16

export class Canaries {
  readonly #options: CanariesOptions
  readonly #wanted = new Map<PeerId, Wanted>()
  #nextMs = 0
  #open: Promise<void> | null = null

  constructor(options: CanariesOptions) {
    this.#options = options
  }

  /** Peers that are in doubt. */
  get count(): number {
    return this.#wanted.size
  }

  /** Nobody could say whether it computes what it should. */
  want(peerId: PeerId, modelId: ModelId): void {
    const { clock } = this.#options
    if (this.#wanted.has(peerId) || this.#wanted.size >= CANARY_WANTED_PEERS_MAX) return
    if (this.#wanted.size === 0) this.#nextMs = clock.nowMs() + this.#gapMs()
    this.#wanted.set(peerId, { modelId, untilMs: clock.nowMs() + CANARY_WANTED_MS })
  }

  /** A canary's session has begun, over those stages: its audits will tell. */
  opened({ stages }: Pick<Grant, 'stages'>): void {
    for (const { peerId } of stages) this.#wanted.delete(peerId)
  }

  tick(nowMs: number): void {
    for (const [peerId, { untilMs }] of this.#wanted) if (nowMs >= untilMs) this.#wanted.delete(peerId)
    const [wanted] = this.#wanted.values()
    if (wanted === undefined || this.#open !== null || nowMs < this.#nextMs) return
    this.#open = this.#send(wanted.modelId).finally(() => {
      this.#open = null
      this.#nextMs = this.#options.clock.nowMs() + this.#gapMs()
    })
  }

  /** Resolves when none is under way. */
  async close(): Promise<void> {
    this.#wanted.clear()
    await this.#open
  }

  /** Never rejects: what does not go now goes later, while somebody is in doubt. */
  async #send(modelId: ModelId): Promise<void> {
    const { driver, payments, random, models, prices, log } = this.#options
    try {
      const { text, maxTokens, temperature } = canaryQuestion(random)
      const config = required(models.get(modelId), `the model ${modelId}`)
      const { promptTokens, ask } = await driver.prepare(modelId, text)
      const account = await this.#account()
      if (!(await this.#fund(account, sessionPrice(config, { promptTokens, maxTokens }, prices, TIER)))) return
      const payment = payments.begin({ keyId: null, account })
      try {
        const seed = Math.floor(random() * 2 ** 32)
        await ask({ maxTokens, temperature, seed, voucher: payment.voucher })
      } finally {
        payment.end()
      }
    } catch (error) {
      log(`a canary was not answered: ${error instanceof Error ? error.message : String(error)}`)
    }
  }

  async #account(): Promise<string> {
    const { accounts } = this.#options.store
    const { id, name } = await accounts.contact(IDENTITY, { address: null })
    if (name === '') await accounts.change(id, { name: NAME, roles: ['requester'] })
    return id
  }

  /** So that the account has as much; false where sessions have not paid enough for verification yet. */
  async #fund(account: string, price: bigint): Promise<boolean> {
    const { store, randomBytes, onPosted } = this.#options
    const has = (await store.ledger.spendable([account])).get(account) ?? 0n
    if (has >= price) return true
    try {
      onPosted(
        (await store.ledger.post({ kind: 'canary', reference: toHex(randomBytes(REFERENCE_BYTES)), account, amount: price - has })).event,
      )
      return true
    } catch (error) {
      if (error instanceof LedgerError && error.reason === 'insufficient') return false
      throw error
    }
  }

  /** Nobody can foresee it. */
  #gapMs(): number {
    return CANARY_GAP_MS * (0.5 + this.#options.random())
  }
}
