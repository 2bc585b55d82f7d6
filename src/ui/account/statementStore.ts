/**
 * One month of the account, without any framework: its lines with the balance after each, read a part at a time as they are wanted, and as a
 * file. What an earlier month still answers is not heard.
 */

import { createStore, type StoreApi } from 'zustand/vanilla'
import type { PeerRuntime, StatementPage } from '../../peer/index.ts'
import {
  type ErrorBody,
  STATEMENT_CSV_HEADER,
  type StatementAmounts,
  type StatementLine,
  statementCsvBalance,
  statementCsvLine,
  toErrorBody,
} from '../../shared/index.ts'

export interface StatementRow extends StatementLine {
  /** Micro-credits that could be spent after this line. */
  readonly balance: bigint
}

export interface StatementState {
  readonly month: string
  readonly rows: readonly StatementRow[]
  /** Micro-credits; null before the first part has come. */
  readonly opening: StatementAmounts | null
  readonly closing: StatementAmounts | null
  /** There are more lines than those read. */
  readonly hasMore: boolean
  readonly isReading: boolean
  /** What went wrong last; null once something went well. */
  readonly error: ErrorBody | null
  /** Begins that month anew. */
  open(month: string): void
  /** Reads on: what was left, and what has come since. Ignored while something is being read. */
  readOn(): void
  /** The whole month as CSV, in micro-credits, as `tabswarm ledger statement` prints it; null where reading failed. */
  csv(): Promise<string | null>
}

export type StatementStore = StoreApi<StatementState>

export function createStatementStore(runtime: Pick<PeerRuntime, 'statement'>, firstMonth: string): StatementStore {
  /** Counts months that were opened. */
  let newest = 0
  let reading: Promise<void> | null = null

  return createStore<StatementState>()((set, get) => {
    const read = async (own: number, cursor: number | null) => {
      set({ isReading: true })
      try {
        const page = await runtime.statement(get().month, cursor)
        if (own === newest) set({ ...withPage(get().rows, page), isReading: false, error: null })
      } catch (error) {
        if (own === newest) set({ isReading: false, error: toErrorBody(error) })
      }
    }
    const next = () => {
      const last = get().rows.at(-1)
      return last === undefined ? null : last.sequence + 1
    }
    const readOn = () => {
      reading ??= read(newest, next()).finally(() => {
        reading = null
      })
      return reading
    }
    return {
      month: firstMonth,
      ...EMPTY,
      open(month) {
        const own = ++newest
        set({ month, ...EMPTY })
        const begun = read(own, null).finally(() => {
          if (reading === begun) reading = null
        })
        reading = begun
      },
      readOn: () => void readOn(),
      async csv() {
        const own = newest
        do {
          await readOn()
          if (own !== newest || get().error !== null) return null
        } while (get().hasMore)
        const { opening, closing, rows } = get()
        if (opening === null || closing === null) return null
        const lines = [STATEMENT_CSV_HEADER, statementCsvBalance('opening', opening), ...rows.map(statementCsvLine)]
        return `${[...lines, statementCsvBalance('closing', closing)].join('\n')}\n`
      },
    }
  })
}

const EMPTY = { rows: [], opening: null, closing: null, hasMore: false, isReading: false, error: null } as const

function withPage(
  before: readonly StatementRow[],
  { opening, closing, lines, cursor }: StatementPage,
): Pick<StatementState, 'rows' | 'opening' | 'closing' | 'hasMore'> {
  let balance = before.at(-1)?.balance ?? opening.available
  const added = lines.map((line) => {
    balance += line.available
    return { ...line, balance }
  })
  return { rows: [...before, ...added], opening, closing, hasMore: cursor !== null }
}
