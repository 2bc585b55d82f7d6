/**
 * Weight layout: how a GGUF matrix lies on the GPU. Blocks keep their own quantization and bits; only their order changes:
 * [panel of 64 outputs][block along the columns][word of a block][output in panel], u32 words. So neighboring invocations
 * (neighboring outputs) read neighboring words, a workgroup streams one contiguous panel, and matrices can be joined panel by
 * panel. The last panel is filled up with zeros. Shaders: block_*.wgsl.
 */

import type { TensorType } from '../model/index.ts'
import { assert } from '../shared/index.ts'
import type { Defines } from './shaderText.ts'

/** Outputs (GGML: rows of the matrix) of one panel. */
export const PANEL_OUTPUTS = 64

export interface WeightLayout {
  readonly type: TensorType
  /** Columns of one block; a matrix's columns must be a multiple. */
  readonly blockColumns: number
  /** In the file. */
  readonly blockBytes: number
  /** On the GPU, the scale included. */
  readonly blockWords: number
  /** The scale's words (0 or 1), at the block's begin. */
  readonly scaleWords: number
  /** A block is `lots` × `chunks` × 4 columns; one load of `lotWords` words gives `chunks` chunks. */
  readonly lots: number
  readonly lotWords: number
  readonly chunks: number
  /** Whether the scale comes with a minimum. */
  readonly minimum: boolean
}

const layouts: Readonly<Record<TensorType, WeightLayout>> = {
  F32: { type: 'F32', blockColumns: 4, blockBytes: 16, blockWords: 4, scaleWords: 0, lots: 1, lotWords: 4, chunks: 1, minimum: false },
  F16: { type: 'F16', blockColumns: 4, blockBytes: 8, blockWords: 2, scaleWords: 0, lots: 1, lotWords: 2, chunks: 1, minimum: false },
  BF16: { type: 'BF16', blockColumns: 4, blockBytes: 8, blockWords: 2, scaleWords: 0, lots: 1, lotWords: 2, chunks: 1, minimum: false },
  Q4_1: { type: 'Q4_1', blockColumns: 32, blockBytes: 20, blockWords: 5, scaleWords: 1, lots: 4, lotWords: 1, chunks: 2, minimum: true },
  Q8_0: { type: 'Q8_0', blockColumns: 32, blockBytes: 34, blockWords: 9, scaleWords: 1, lots: 8, lotWords: 1, chunks: 1, minimum: false },
}

export function weightLayout(type: TensorType): WeightLayout {
  return layouts[type]
}

/** What the block_*.wgsl shaders and their users expect to be defined. */
export function layoutDefines(type: TensorType): Defines {
  const layout = layouts[type]
  return {
    BLOCK: `block_${type.toLowerCase()}`,
    BLOCK_COLUMNS: layout.blockColumns,
    BLOCK_WORDS: layout.blockWords,
    SCALE_WORDS: layout.scaleWords,
    LOTS: layout.lots,
    LOT_WORDS: layout.lotWords,
    CHUNKS: layout.chunks,
    SCALED: layout.scaleWords,
    UNSCALED: 1 - layout.scaleWords,
    MINIMUM: layout.minimum ? 1 : 0,
    PANEL: PANEL_OUTPUTS,
  }
}

export function panelCount(outputs: number): number {
  return Math.ceil(outputs / PANEL_OUTPUTS)
}

/** Words of one panel of a matrix with `columns` columns. */
export function panelWords(type: TensorType, columns: number): number {
  const layout = layouts[type]
  assert(columns > 0 && columns % layout.blockColumns === 0, `${columns} columns are not a multiple of ${layout.blockColumns} (${type})`)
  return (columns / layout.blockColumns) * layout.blockWords * PANEL_OUTPUTS
}

/** Bytes of a matrix on the GPU. */
export function matrixBytes(type: TensorType, columns: number, outputs: number): number {
  return 4 * panelCount(outputs) * panelWords(type, columns)
}

/**
 * Outputs [outputFirst, outputEnd) of a matrix as it lies in the file (`bytes`: [outputs, columns]), laid out in panels; outputFirst must
 * begin a panel. Bit-exact: only the order of words changes.
 */
export function toPanels(
  type: TensorType,
  bytes: Uint8Array,
  columns: number,
  outputFirst: number,
  outputEnd: number,
): Uint32Array<ArrayBuffer> {
  const layout = layouts[type]
  const blocks = columns / layout.blockColumns
  const rowBytes = blocks * layout.blockBytes
  assert(outputFirst % PANEL_OUTPUTS === 0 && outputEnd * rowBytes <= bytes.byteLength, `outputs ${outputFirst}…${outputEnd} of ${type}`)
  const words = new Uint32Array(panelCount(outputEnd - outputFirst) * panelWords(type, columns))
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  for (let output = outputFirst; output < outputEnd; output++) {
    const panel = Math.floor((output - outputFirst) / PANEL_OUTPUTS)
    let to = panel * blocks * layout.blockWords * PANEL_OUTPUTS + (output % PANEL_OUTPUTS)
    let from = output * rowBytes
    for (let block = 0; block < blocks; block++) {
      let word = 0
      if (type === 'Q8_0') {
        words[to] = view.getUint16(from, true)
        from += 2
        to += PANEL_OUTPUTS
        word = 1
      }
      for (; word < layout.blockWords; word++) {
        words[to] = view.getUint32(from, true)
        from += 4
        to += PANEL_OUTPUTS
      }
    }
  }
  return words
}
