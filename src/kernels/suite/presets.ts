/**
 * Presets: the projections and attention of models that people run, as cases. Sizes are those of the models' published
 * configurations; equal shapes of a model (gate and up, keys and values) appear once.
 */

import { fits } from './formats.ts'
import type { SuiteCase, SuiteFormat, SuiteKernel } from './types.ts'

export interface SuitePreset {
  readonly id: string
  readonly name: string
  readonly width: number
  readonly feedForwardWidth: number
  readonly heads: number
  readonly kvHeads: number
  readonly headSize: number
}

export const suitePresets: readonly SuitePreset[] = [
  { id: 'smollm2-135m', name: 'SmolLM2-135M', width: 576, feedForwardWidth: 1536, heads: 9, kvHeads: 3, headSize: 64 },
  { id: 'llama-3.2-1b', name: 'Llama-3.2-1B', width: 2048, feedForwardWidth: 8192, heads: 32, kvHeads: 8, headSize: 64 },
  { id: 'llama-3.1-8b', name: 'Llama-3.1-8B', width: 4096, feedForwardWidth: 14_336, heads: 32, kvHeads: 8, headSize: 128 },
  { id: 'qwen3-8b', name: 'Qwen3-8B', width: 4096, feedForwardWidth: 12_288, heads: 32, kvHeads: 8, headSize: 128 },
  { id: 'gemma-3-4b', name: 'Gemma-3-4B', width: 2560, feedForwardWidth: 10_240, heads: 8, kvHeads: 4, headSize: 256 },
]

/** Which cases to run, as a person chooses them: the cross product of everything chosen, where it makes sense. */
export interface SuiteChoice {
  readonly kernels: readonly SuiteKernel[]
  /** Ids of presets. */
  readonly presets: readonly string[]
  readonly formats: readonly SuiteFormat[]
  /** Of the KV cache, for attention. */
  readonly kvFormats: readonly ('f32' | 'f16')[]
  /** Input rows of matvec, 1 to 8. */
  readonly decodeRows: readonly number[]
  /** Input rows of matmul. */
  readonly promptRows: readonly number[]
  /** Positions that decode attention sees. */
  readonly positions: readonly number[]
}

export const defaultChoice: SuiteChoice = {
  kernels: ['matvec', 'matmul', 'attention_decode'],
  presets: ['smollm2-135m'],
  formats: ['q4_1'],
  kvFormats: ['f32'],
  decodeRows: [1],
  promptRows: [128],
  positions: [2048],
}

/** [outputs, inputs] of a model's projections: Q, K and V joined as they are computed, attention's output, gate and up joined, down. */
export function projections({ width, feedForwardWidth, heads, kvHeads, headSize }: SuitePreset): readonly (readonly [number, number])[] {
  return [
    [(heads + 2 * kvHeads) * headSize, width],
    [width, heads * headSize],
    [2 * feedForwardWidth, width],
    [width, feedForwardWidth],
  ]
}

/** The cases of a choice, grouped by preset; formats whose blocks don't divide a shape's inputs are left out, duplicates too. */
export function casesOf(choice: SuiteChoice): SuiteCase[] {
  const cases = new Map<string, SuiteCase>()
  const add = (entry: SuiteCase) => cases.set(JSON.stringify(entry), entry)
  for (const preset of suitePresets.filter(({ id }) => choice.presets.includes(id))) {
    for (const kernel of choice.kernels) {
      if (kernel === 'attention_decode') {
        for (const positions of choice.positions) {
          const shape = [positions, preset.heads, preset.kvHeads, preset.headSize]
          for (const format of choice.kvFormats) add({ kernel, format, shape, rows: 1 })
        }
        continue
      }
      for (const [outputs, inputs] of projections(preset)) {
        for (const format of choice.formats.filter((name) => fits(name, inputs))) {
          for (const rows of kernel === 'matvec' ? choice.decodeRows : choice.promptRows) {
            add({ kernel, format, shape: [outputs, inputs], rows })
          }
        }
      }
    }
  }
  return [...cases.values()]
}
