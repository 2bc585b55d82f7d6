/**
 * ReceiptBook: all parts that one peer has in sessions. Those that ended stay for a while: the coordinator, which compares what both ends of a
 * link have signed, may ask for one position more. Rules V9 and V15 of protocol/SPEC.md.
 */

import { LOG_KEPT_MS, type SignedReceipt } from '../protocol/index.ts'
import type { CancelTimer, SessionId } from '../shared/index.ts'
import { Part, type PartSetup, type PartTools } from './part.ts'

/** Parts that have ended, of all sessions: a busy stage ends one or two a second. */
const ENDED_MAX = 256
/** Of hashes that open sessions and these keep together: beyond it, parts that have ended are forgotten earlier. A quarter of a million positions. */
const POSITION_BYTES_MAX = 32 * 1024 * 1024

/** What the coordinator asks for. */
export interface ReceiptRequest {
  readonly sessionId: SessionId
  readonly revision: number
  readonly endPosition: number
}

export interface ReceiptBookOptions extends PartTools {
  /** For the coordinator. */
  readonly onReceipt: (signed: SignedReceipt) => void | Promise<void>
}

export class ReceiptBook {
  readonly #options: ReceiptBookOptions
  readonly #parts = new Map<SessionId, Part[]>()
  /** In the order of their ends. */
  readonly #ended = new Map<Part, CancelTimer>()
  /** Forgotten, while their last receipts are being signed. */
  readonly #leaving = new Set<Part>()

  constructor(options: ReceiptBookOptions) {
    this.#options = options
  }

  begin(setup: Omit<PartSetup, 'onSigned'> & Partial<Pick<PartSetup, 'onSigned'>>): Part {
    const { sessionId } = setup.grant
    const onSigned = async (signed: SignedReceipt) => {
      await setup.onSigned?.(signed)
      await this.#options.onReceipt(signed)
    }
    const part = new Part({ ...setup, onSigned }, this.#options)
    this.#parts.set(sessionId, [...(this.#parts.get(sessionId) ?? []), part])
    return part
  }

  /** The part signs its last, and stays for a while. */
  end(part: Part): void {
    if (part.ended) return
    part.end()
    const cancel = this.#options.clock.after(LOG_KEPT_MS, () => this.#forget(part))
    this.#ended.set(part, cancel)
    this.#makeRoom()
  }

  /** The coordinator wants to know more of that part; nothing happens where it is not known any more. */
  ask({
    sessionId,
    revision,
    endPosition,
  }: {
    readonly sessionId: SessionId
    readonly revision: number
    readonly endPosition: number
  }): void {
    this.#parts
      .get(sessionId)
      ?.find((part) => part.revision === revision)
      ?.ask(endPosition)
  }

  /** Nobody will ask for that session any more. */
  release(sessionId: SessionId): void {
    for (const part of this.#parts.get(sessionId) ?? []) if (part.ended) this.#forget(part)
  }

  /** Resolves when everything due is signed and told. */
  async settled(): Promise<void> {
    await Promise.all([...this.#leaving, ...[...this.#parts.values()].flat()].map((part) => part.settled()))
  }

  /** Two for each that ends: what is forgotten gives its memory back a little later. */
  #makeRoom(): void {
    const isFull = () => this.#ended.size > ENDED_MAX || this.#options.budget.positionBytes > POSITION_BYTES_MAX
    for (const oldest of [...this.#ended.keys()].slice(0, 2)) if (isFull()) this.#forget(oldest)
  }

  #forget(part: Part): void {
    this.#ended.get(part)?.()
    this.#ended.delete(part)
    const left = this.#parts.get(part.sessionId)?.filter((other) => other !== part) ?? []
    if (left.length === 0) this.#parts.delete(part.sessionId)
    else this.#parts.set(part.sessionId, left)
    // What is being signed needs its hashes.
    this.#leaving.add(part)
    void part.settled().then(() => {
      this.#leaving.delete(part)
      part.drop()
    })
  }
}
