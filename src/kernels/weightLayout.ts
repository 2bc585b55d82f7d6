/**
 * Weight layout: how a GGUF matrix lies on the GPU. Blocks keep their own quantization and bits (blockWords.ts), in panels of 64
 * outputs: [block][quad][output in panel] of four words, then the block's small change, the tails (scales, fifth bits), packed
 * along the blocks: [word][output in panel]. So neighboring invocations (neighboring outputs) read neighboring 16 bytes, a
 * workgroup streams one contiguous panel, matrices can be joined panel by panel, and a matrix takes what its file takes: the
 * last panel is filled up with zeros, and each tail to whole words a row. Shaders: block.wgsl, block_*.wgsl.
 */

import { blockBytes, blockSize, type TensorType } from '../model/index.ts'
import { assert } from '../shared/index.ts'
import { blockReader } from './blockWords.ts'
import type { Defines } from './shaderText.ts'

/** Outputs (GGML: rows of the matrix) of one panel. */
export const PANEL_OUTPUTS = 64

export interface WeightLayout {
  readonly type: TensorType
  /** Columns of one block; a matrix's columns must be a multiple. */
  readonly blockColumns: number
  /** In the file. */
  readonly blockBytes: number
  /** Of four words, a block. */
  readonly quads: number
  /** Bytes a block of each tail: 1, 2 or 4; 0 where the type has fewer tails. */
  readonly tails: readonly [number, number]
  /** A block is `groups` × `chunks` × 4 columns. */
  readonly groups: number
  readonly chunks: number
  /** Scales of a group: 0 where values stand for themselves, 2 where each half has its own. */
  readonly scales: 0 | 1 | 2
  /** Whether a scale comes with a minimum. */
  readonly minimum: boolean
  /** Where that minimum is −center · scale, the center; else 0. */
  readonly center: number
}

const wide = { groups: 8, chunks: 8 } as const
const plain = { groups: 1, chunks: 8 } as const
const forms: Readonly<Record<TensorType, Omit<WeightLayout, 'type' | 'blockColumns' | 'blockBytes'>>> = {
  F32: { quads: 1, tails: [0, 0], groups: 1, chunks: 1, scales: 0, minimum: false, center: 0 },
  F16: { quads: 1, tails: [0, 0], groups: 1, chunks: 2, scales: 0, minimum: false, center: 0 },
  BF16: { quads: 1, tails: [0, 0], groups: 1, chunks: 2, scales: 0, minimum: false, center: 0 },
  Q4_0: { quads: 1, tails: [2, 0], ...plain, scales: 1, minimum: true, center: 8 },
  Q4_1: { quads: 1, tails: [4, 0], ...plain, scales: 1, minimum: true, center: 0 },
  Q5_0: { quads: 1, tails: [4, 2], ...plain, scales: 1, minimum: true, center: 16 },
  Q5_1: { quads: 1, tails: [4, 4], ...plain, scales: 1, minimum: true, center: 0 },
  Q8_0: { quads: 2, tails: [2, 0], ...plain, scales: 1, minimum: false, center: 0 },
  Q2_K: { quads: 5, tails: [4, 0], ...wide, scales: 2, minimum: true, center: 0 },
  Q3_K: { quads: 7, tails: [0, 0], ...wide, scales: 2, minimum: true, center: 4 },
  Q4_K: { quads: 9, tails: [0, 0], ...wide, scales: 1, minimum: true, center: 0 },
  Q5_K: { quads: 11, tails: [0, 0], ...wide, scales: 1, minimum: true, center: 0 },
  Q6_K: { quads: 13, tails: [2, 0], ...wide, scales: 2, minimum: true, center: 32 },
  IQ4_NL: { quads: 1, tails: [2, 0], ...plain, scales: 1, minimum: false, center: 0 },
  IQ4_XS: { quads: 8, tails: [4, 4], ...wide, scales: 1, minimum: false, center: 0 },
  MXFP4: { quads: 1, tails: [1, 0], ...plain, scales: 1, minimum: false, center: 0 },
}

export function weightLayout(type: TensorType): WeightLayout {
  const form = forms[type]
  const blockColumns = 4 * form.groups * form.chunks
  return { type, blockColumns, blockBytes: (blockColumns / blockSize(type)) * blockBytes(type), ...form }
}

/** What the block_*.wgsl shaders and their users expect to be defined; `quadsBound`: whether `quads` is bound beside `weights`. */
export function layoutDefines(type: TensorType, quadsBound = false): Defines {
  const { quads, tails, groups, chunks, scales, minimum, center } = weightLayout(type)
  return {
    BLOCK: `block_${type.toLowerCase()}`,
    QUADS: quads,
    QUADS_BOUND: quadsBound ? 1 : 0,
    TAIL_0: tails[0],
    TAIL_1: tails[1],
    GROUPS: groups,
    WIDE: groups > 1 ? 1 : 0,
    CHUNKS: chunks,
    // Chunks of the first and second half of a group lie in the same words.
    HALVES: chunks > 1 ? 2 : 1,
    HALF_CHUNKS: chunks > 1 ? chunks / 2 : 1,
    SCALED: scales > 0 ? 1 : 0,
    SPLIT: scales > 1 ? 1 : 0,
    SPLITS: Math.max(1, scales),
    MINIMUM: minimum ? 1 : 0,
    CENTER: center,
  }
}

export function panelCount(outputs: number): number {
  return Math.ceil(outputs / PANEL_OUTPUTS)
}

/** Words of one panel of a matrix with `columns` columns. */
export function panelWords(type: TensorType, columns: number): number {
  const layout = weightLayout(type)
  assert(columns > 0 && columns % layout.blockColumns === 0, `${columns} columns are not a multiple of ${layout.blockColumns} (${type})`)
  const blocks = columns / layout.blockColumns
  return PANEL_OUTPUTS * (4 * layout.quads * blocks + tailWords(layout, blocks, 0) + tailWords(layout, blocks, 1))
}

/** Bytes of a matrix on the GPU. */
export function matrixBytes(type: TensorType, columns: number, outputs: number): number {
  return 4 * panelCount(outputs) * panelWords(type, columns)
}

/**
 * Outputs [outputFirst, outputEnd) of a matrix as it lies in the file (`bytes`: [outputs, columns]), laid out in panels; outputFirst must
 * begin a panel. Bit-exact: bits are only moved.
 */
export function toPanels(
  type: TensorType,
  bytes: Uint8Array,
  columns: number,
  outputFirst: number,
  outputEnd: number,
): Uint32Array<ArrayBuffer> {
  const layout = weightLayout(type)
  const blocks = columns / layout.blockColumns
  const rowBytes = blocks * layout.blockBytes
  assert(outputFirst % PANEL_OUTPUTS === 0 && outputEnd * rowBytes <= bytes.byteLength, `outputs ${outputFirst}…${outputEnd} of ${type}`)
  const words = new Uint32Array(panelCount(outputEnd - outputFirst) * panelWords(type, columns))
  for (let output = outputFirst; output < outputEnd; output++) {
    const panel = Math.floor((output - outputFirst) / PANEL_OUTPUTS)
    layOutput(layout, bytes, output * rowBytes, blocks, words, panel * panelWords(type, columns), output % PANEL_OUTPUTS)
  }
  return words
}

/** One output's blocks, into the panel that begins at word `begin`. */
function layOutput(
  layout: WeightLayout,
  bytes: Uint8Array,
  from: number,
  blocks: number,
  words: Uint32Array,
  begin: number,
  output: number,
): void {
  const { type, quads, tails } = layout
  const read = blockReader(type)
  const block = new Uint32Array(4 * quads + 2)
  const tailBegin0 = begin + PANEL_OUTPUTS * 4 * quads * blocks + output
  const tailBegin1 = tailBegin0 + PANEL_OUTPUTS * tailWords(layout, blocks, 0)
  let to = begin + 4 * output
  for (let index = 0; index < blocks; index++) {
    read(bytes, from + index * layout.blockBytes, block)
    for (let quad = 0; quad < quads; quad++) {
      words[to] = block[4 * quad] ?? 0
      words[to + 1] = block[4 * quad + 1] ?? 0
      words[to + 2] = block[4 * quad + 2] ?? 0
      words[to + 3] = block[4 * quad + 3] ?? 0
      to += 4 * PANEL_OUTPUTS
    }
    if (tails[0] > 0) layTail(words, tailBegin0, tails[0], index, block[4 * quads] ?? 0)
    if (tails[1] > 0) layTail(words, tailBegin1, tails[1], index, block[4 * quads + 1] ?? 0)
  }
}

/** `bytes` bytes of a tail, packed along the blocks into words that lie a panel's outputs apart. */
function layTail(words: Uint32Array, begin: number, bytes: number, block: number, value: number): void {
  const at = begin + PANEL_OUTPUTS * ((block * bytes) >> 2)
  words[at] = (words[at] ?? 0) | (value << (8 * ((block * bytes) & 3)))
}

/** Words that one output's tail takes. */
function tailWords({ tails }: WeightLayout, blocks: number, tail: 0 | 1): number {
  return Math.ceil((tails[tail] * blocks) / 4)
}
