/**
 * RowBudget: what all sessions of one peer may keep together: rows, which are bounded here, and what is kept of each position. Where room is short
 * whatever somebody has offered to do without goes first.
 */

/** 58,000 positions of a 576-wide model in f16. */
const ROW_BYTES_MAX = 64 * 1024 * 1024

export class RowBudget {
  /** Of rows. */
  readonly bytesMax: number
  #bytesUsed = 0
  #positionBytes = 0
  #reclaim: (isNeeded: boolean) => boolean = () => false

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

  /** Called where room is short, `isNeeded` for rows that cannot be done without: gives some of it back, or says that there is none. */
  reclaimWith(reclaim: (isNeeded: boolean) => boolean): void {
    this.#reclaim = reclaim
  }

  /** False, and nothing taken, when it would pass the bound. */
  take(bytes: number): boolean {
    return this.#takeWithin(bytes, this.bytesMax, true)
  }

  /** For rows that can be done without: they leave half of the room to those that cannot. */
  borrow(bytes: number): boolean {
    return this.#takeWithin(bytes, this.bytesMax / 2, false)
  }

  give(bytes: number): void {
    this.#bytesUsed -= bytes
  }

  resizePositions(fromBytes: number, toBytes: number): void {
    this.#positionBytes += toBytes - fromBytes
  }

  #takeWithin(bytes: number, bytesMax: number, isNeeded: boolean): boolean {
    while (this.#bytesUsed + bytes > bytesMax) if (!this.#reclaim(isNeeded)) return false
    this.#bytesUsed += bytes
    return true
  }
}
