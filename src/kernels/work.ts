/**
 * Work: the words of work.wgsl, what one dispatch works on. Many of them lie in one uniform buffer, WORK_STRIDE_BYTES
 * apart, and are chosen by a dynamic offset, so that a pass uploads them all at once.
 */

/** WebGPU's default `minUniformBufferOffsetAlignment`. */
export const WORK_STRIDE_BYTES = 256

/** One entry's struct. */
export const WORK_BYTES = 64

/** Rows of one head group, and of one decode run: what a matvec reads the weights for at once. */
export const GROUP_ROWS_MAX = 8

/** Words of one entry of `rows`. */
export const ROW_WORDS = 4

export interface Work {
  /** Of the run's first row among the uploaded rows. */
  readonly rowBase: number
  /** The piece's first row, within the run. */
  readonly rowFirst: number
  readonly rowCount: number
  /** Where the piece's bytes begin in the input or output buffer, in words. */
  readonly ioWord: number
  readonly topK: number
  /** Rows of the run whose logits are wanted, at most GROUP_ROWS_MAX; of `candidates` the named tokens. */
  readonly selected: readonly number[]
  /** How many of `selected` are named tokens; 0 where it is left out. */
  readonly named?: number
}

/** Writes `work` as entry `index` of the words of a work buffer. */
export function writeWork(words: Uint32Array, index: number, work: Work): void {
  const at = (index * WORK_STRIDE_BYTES) / 4
  words.set([work.rowBase, work.rowFirst, work.rowCount, work.ioWord, work.topK, work.named ?? 0], at)
  for (let i = 0; i < GROUP_ROWS_MAX; i++) words[at + 8 + i] = work.selected[i] ?? 0
}
