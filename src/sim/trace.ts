/** Trace: what happened lately that may explain a broken invariant, and of that what concerns it. */

/** Lines that are remembered, and of those told. */
const REMEMBERED = 2_000
const TOLD = 40

export class Trace {
  readonly #nowMs: () => number
  readonly #lines: string[] = []
  #next = 0

  constructor(nowMs: () => number) {
    this.#nowMs = nowMs
  }

  add(line: string): void {
    this.#lines[this.#next++ % REMEMBERED] = `${(this.#nowMs() / 1_000).toFixed(3)} s  ${line}`
  }

  /** The last lines with one of these words; with none given, the last of all. */
  about(words: readonly string[]): string[] {
    const first = this.#next % REMEMBERED
    const inOrder = this.#next < REMEMBERED ? this.#lines : [...this.#lines.slice(first), ...this.#lines.slice(0, first)]
    return inOrder.filter((line) => words.length === 0 || words.some((word) => line.includes(word))).slice(-TOLD)
  }
}
