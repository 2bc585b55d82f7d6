/** Statements: answers peers that ask for a month of their account, and of no other, a part at a time and at a bounded rate. */

import { type ClientMessage, type ServerMessage, STATEMENT_LINES_MAX } from '../../protocol/index.ts'
import type { Clock, PeerId, StatementAmounts } from '../../shared/index.ts'
import { STATEMENT_RATE, STATEMENTS_AT_ONCE } from './limits.ts'
import type { EconomyStore } from './ports.ts'
import { type Refused, RequestGate } from './requestGate.ts'

type StatementRequest = Extract<ClientMessage, { type: 'statement' }>
type StatementAnswer = Extract<ServerMessage, { type: 'statement' }>

export interface StatementsOptions {
  readonly ledger: () => Promise<Pick<EconomyStore['ledger'], 'statementPage'>>
  /** Rejects where the peer has left. */
  readonly accountOf: (peerId: PeerId) => Promise<string>
  readonly clock: Clock
  readonly log: (line: string) => void
}

const TOO_MANY = { reason: 'too-many-statements', message: 'this tab asks for statements too often; wait a moment' }

export class Statements {
  readonly #options: StatementsOptions
  readonly #gate: RequestGate

  constructor(options: StatementsOptions) {
    this.#options = options
    this.#gate = new RequestGate({ ...options, rate: STATEMENT_RATE, atOnce: STATEMENTS_AT_ONCE, tooMany: TOO_MANY })
  }

  /** Rule E11. Never rejects. */
  answer(peerId: PeerId, request: StatementRequest): Promise<StatementAnswer | Refused> {
    return this.#gate.answer(peerId, request.requestId, () => this.#read(peerId, request))
  }

  tick(nowMs: number): void {
    this.#gate.tick(nowMs)
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

function digits({ available, held, escrow, granted }: StatementAmounts): Record<keyof StatementAmounts, string> {
  return { available: String(available), held: String(held), escrow: String(escrow), granted: String(granted) }
}
