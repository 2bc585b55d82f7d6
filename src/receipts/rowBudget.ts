/** RowBudget: what all sessions of one peer may keep together: rows, which are bounded here, and what is kept of each position. */

/** 58,000 positions of a 576-wide model in f16. */
const ROW_BYTES_MAX = 64 * 1024 * 1024

export class RowBudget {
  /** Of rows. */
  readonly bytesMax: number
  #bytesUsed = 0
  #positionBytes = 0

  constructor(bytesMax: number = ROW_BYTES_MAX) {
    this.bytesMax = bytesMax
  }

  /** By rows. */
  get bytesUsed(): number {
    return this.#bytesUsed
  }

  /** By hashes and kinds: the positions of the peer's sessions bound them. */
  get positionBytes(): number {
    return this.#positionBytes
  }

  /** False, and nothing taken, when it would pass the bound. */
  take(bytes: number): boolean {
    if (this.#bytesUsed + bytes > this.bytesMax) return false
    this.#bytesUsed += bytes
    return true
  }

  /** For rows that can be done without: they leave half of the room to those that cannot. */
  borrow(bytes: number): boolean {
    return this.#bytesUsed + bytes <= this.bytesMax / 2 && this.take(bytes)
  }

  give(bytes: number): void {
    this.#bytesUsed -= bytes
  }

  resizePositions(fromBytes: number, toBytes: number): void {
    this.#positionBytes += toBytes - fromBytes
  }
}
