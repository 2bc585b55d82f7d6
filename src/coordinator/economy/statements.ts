/** Statements: answers peers that ask for a month of their account, and of no other, a part at a time and at a bounded rate. */

import { type ClientMessage, type ServerMessage, STATEMENT_LINES_MAX } from '../../protocol/index.ts'
import type { Clock, PeerId, StatementAmounts } from '../../shared/index.ts'
import { TokenBuckets } from '../core/index.ts'
import { RETRY_STATEMENT_MS, RETRY_STORE_MS, STATEMENT_RATE, STATEMENTS_AT_ONCE } from './limits.ts'
import type { EconomyStore } from './ports.ts'

type StatementRequest = Extract<ClientMessage, { type: 'statement' }>
type StatementAnswer = Extract<ServerMessage, { type: 'statement' | 'refused' }>

export interface StatementsOptions {
  readonly ledger: () => Promise<Pick<EconomyStore['ledger'], 'statementPage'>>
  /** Rejects where the peer has left. */
  readonly accountOf: (peerId: PeerId) => Promise<string>
  readonly clock: Clock
  readonly log: (line: string) => void
}

export class Statements {
  readonly #options: StatementsOptions
  readonly #buckets = new TokenBuckets(STATEMENT_RATE)
  #reading = 0

  constructor(options: StatementsOptions) {
    this.#options = options
  }

  /** Rule E11. Never rejects. */
  async answer(peerId: PeerId, request: StatementRequest): Promise<StatementAnswer> {
    const { clock, log } = this.#options
    const nowMs = clock.nowMs()
    const bucket = this.#buckets.of(peerId, nowMs)
    if (!bucket.take(nowMs))
      return refused(request, 'too-many-statements', 'this tab asks for statements too often; wait a moment', bucket.waitMs(nowMs))
    if (this.#reading >= STATEMENTS_AT_ONCE)
      return refused(request, 'busy', 'the coordinator reads other statements now; try again in a moment', RETRY_STATEMENT_MS)
    this.#reading++
    try {
      return await this.#read(peerId, request)
    } catch (error) {
      log(`a statement could not be read: ${String(error)}`)
      return refused(request, 'no-accounts', 'the coordinator’s accounts do not answer; try again in a moment', RETRY_STORE_MS)
    } finally {
      this.#reading--
    }
  }

  tick(nowMs: number): void {
    this.#buckets.forgetFull(nowMs)
  }

  async #read(peerId: PeerId, { requestId, month, cursor }: StatementRequest): Promise<StatementAnswer> {
    const { ledger, accountOf } = this.#options
    const account = await accountOf(peerId)
    const page = await (await ledger()).statementPage(account, month, cursor ?? 0, STATEMENT_LINES_MAX)
    const { opening, closing, lines, next } = page
    const told = lines.map(({ sequence, atMs, event, kind, role, session, ...amounts }) => {
      return { sequence, atMs, event, kind, role, session, ...digits(amounts) }
    })
    return { type: 'statement', requestId, month, opening: digits(opening), closing: digits(closing), lines: told, cursor: next }
  }
}

function refused({ requestId }: StatementRequest, reason: string, message: string, retryAfterMs: number): StatementAnswer {
  return { type: 'refused', requestId, reason, message, retryAfterMs }
}

function digits({ available, held, escrow, granted }: StatementAmounts): Record<keyof StatementAmounts, string> {
  return { available: String(available), held: String(held), escrow: String(escrow), granted: String(granted) }
}
