/** `--wire`: how activations travel between the tabs of a swarm, in the words of a person. The encodings: protocol's rows. */

import type { RowEncoding } from '../protocol/index.ts'
import { UsageError } from './output.ts'

const ENCODINGS = { f32: 'f32', f16: 'f16e', int8: 'i8b' } as const satisfies Record<string, RowEncoding>

export type WireForm = keyof typeof ENCODINGS

export const WIRE_DEFAULT: WireForm = 'f16'

export const WIRE_HELP = 'how activations travel: f32, f16, or int8 (half the bytes of f16, for slow links; see docs/benchmarks/wire-5.md)'

export function parseWire(text: string): WireForm {
  if (text === 'f32' || text === 'f16' || text === 'int8') return text
  throw new UsageError(`--wire must be f32, f16 or int8, not "${text}"`)
}

export function rowEncodingOf(form: WireForm): RowEncoding {
  return ENCODINGS[form]
}
