/**
 * TokenOutbox: what the driver sends stage 0, and how far it got: token ids as far as its window goes, and truncations. Another first stage
 * says which position it wants, and is sent the rows again from there. What was submitted is kept by the LapLedger.
 */

import type { OpenedFrame, RowsFrame } from '../protocol/index.ts'
import { type Deferred, deferred, SerialQueue } from '../shared/index.ts'
import type { Lap } from './chain.ts'
import type { ChainLinks } from './chainLinks.ts'
import type { DriverReceipts } from './driverReceipts.ts'
import type { SessionError } from './errors.ts'
import type { LapLedger } from './lapLedger.ts'

export interface TokenOutboxPorts {
  readonly links: ChainLinks
  readonly ledger: LapLedger
  readonly receipts: DriverReceipts
  /** Whether the chain takes rows now. */
  readonly works: () => boolean
  /** Rows are owed by a chain that works, and stage 0 may not even have room for them yet. */
  readonly onOwed: () => void
}

export class TokenOutbox {
  readonly #ports: TokenOutboxPorts
  readonly #submitting = new SerialQueue()
  /** The next position to send. */
  #position = 0
  #sendableRows = 0
  #sentRows = 0
  #roomWanted: Deferred<void> | null = null
  #waitingRows = 0
  #ended: SessionError | null = null

  constructor(ports: TokenOutboxPorts) {
    this.#ports = ports
  }

  /** Positions that stage 0 was sent. */
  get sent(): number {
    return this.#position
  }

  /** Rows of a lap that waits for room. */
  get waitingRows(): number {
    return this.#waitingRows
  }

  /** Resolves when the lap is sent as far as stage 0 has room for it; rejects with what the session ended by. */
  submit(lap: Lap): Promise<void> {
    return this.#submitting.run(() => this.#submit(lap))
  }

  /** Stage 0 says where it goes on, and how many rows it takes in all from there. Returns the rule that it breaks, or null. */
  opened({ nextPosition, windowRows }: OpenedFrame): string | null {
    const { ledger, receipts } = this.#ports
    if (nextPosition > ledger.submittedMax) return `it asks for position ${nextPosition}, which was never sent`
    // A truncation that is behind the `open` takes back what it has counted.
    this.#position = Math.min(nextPosition, ledger.submitted)
    this.#sentRows = 0
    this.#sendableRows = windowRows
    receipts.sendsFrom(this.#position)
    return null
  }

  raise(windowRows: number): void {
    // One that was sent before its `opened` counts from another beginning.
    if (!this.#ports.links.hasAnswered(0)) return
    this.#sendableRows = Math.max(this.#sendableRows, windowRows)
    this.pump()
  }

  /** Sends stage 0 what it has not got. */
  pump(): void {
    const { links, ledger, receipts, works } = this.#ports
    if (!works()) return
    while (this.#position < ledger.submitted && this.#sentRows < this.#sendableRows) {
      const { firstPosition, ids, kind, resultCount, named } = ledger.lapFrom(this.#position, this.#sendableRows - this.#sentRows)
      this.#sentRows += ids.length
      this.#position += ids.length
      const frame: RowsFrame = {
        type: 'rows',
        sessionId: links.grant.sessionId,
        epoch: ledger.epoch,
        firstPosition,
        rowCount: ids.length,
        kind,
        resultCount,
        encoding: 'tokens',
        payload: tokenBytes(ids),
        ...(named !== undefined && { named: tokenBytes(named) }),
      }
      links.send(0, frame)
      receipts.sent(frame)
    }
    this.#wake()
  }

  /** Positions ≥ `length` are taken back, in a new epoch. */
  truncate(epoch: number, length: number): void {
    const { links } = this.#ports
    this.#position = Math.min(this.#position, length)
    // Before stage 0 has answered, it must not overtake the `open` that is on its way; one to come says it itself.
    const priority = links.hasAnswered(0) ? 'urgent' : 'data'
    links.send(0, { type: 'truncate', sessionId: links.grant.sessionId, epoch, length }, priority)
  }

  /** The session has ended: nothing is submitted any more. */
  end(error: SessionError): void {
    this.#ended = error
    this.#wake()
  }

  async #submit(lap: Lap): Promise<void> {
    this.#waitingRows = lap.ids.length
    if (this.#ports.works()) this.#ports.onOwed()
    while (this.#ended === null && !this.#hasRoom(lap.ids.length)) {
      this.#roomWanted ??= deferred()
      await this.#roomWanted.promise
    }
    this.#waitingRows = 0
    if (this.#ended !== null) throw this.#ended
    this.#ports.ledger.submit(lap)
    this.pump()
  }

  /** Whether everything submitted before is sent, and `rowCount` rows more may be. */
  #hasRoom(rowCount: number): boolean {
    const { ledger, works } = this.#ports
    return works() && this.#position === ledger.submitted && this.#sentRows + rowCount <= this.#sendableRows
  }

  #wake(): void {
    this.#roomWanted?.resolve()
    this.#roomWanted = null
  }
}

/** u32 little-endian, whatever the host's order. */
function tokenBytes(ids: Uint32Array): Uint8Array {
  const bytes = new Uint8Array(4 * ids.length)
  const view = new DataView(bytes.buffer)
  for (let index = 0; index < ids.length; index++) view.setUint32(4 * index, ids[index] ?? 0, true)
  return bytes
}
