/**
 * What every engine refuses before it computes anything. A batch comes from strangers in the end: each rule that an engine
 * relies on is checked here, once, and the message names the segment and the rule.
 */

import { isFirstSpan, isLastSpan, type ModelConfig } from '../model/index.ts'
import { NAMED_TOKENS_MAX, ROW_ENCODINGS, rowBytes, TOP_K_MAX } from '../protocol/index.ts'
import type { Segment } from './engine.ts'
import { EngineError } from './errors.ts'
import type { KvBlocks, KvSlot } from './kvBlocks.ts'

/** Rows of a segment's input. */
export function segmentRows(segment: Segment): number {
  return segment.input.kind === 'tokens' ? segment.input.ids.length : segment.input.rowCount
}

/** Throws an EngineError `bad-batch` unless every segment can be computed as it stands. */
export function checkBatch(segments: readonly Segment[], config: ModelConfig, blocks: KvBlocks): void {
  if (segments.length === 0) refuse(0, 'the batch is empty')
  const slots = new Set<number>()
  for (const [index, segment] of segments.entries()) {
    const slot = blocks.find(segment.slot)
    if (slot === undefined) refuse(index, `slot ${segment.slot} is not open`)
    if (slots.has(segment.slot)) refuse(index, `slot ${segment.slot} appears twice; join its positions to one segment`)
    slots.add(segment.slot)
    checkPositions(index, segment, slot)
    checkInput(index, segment, slot, config)
    checkOutput(index, segment, slot, config)
  }
}

function checkPositions(index: number, segment: Segment, slot: KvSlot): void {
  const rowCount = segmentRows(segment)
  if (!Number.isSafeInteger(rowCount) || rowCount < 1) refuse(index, `${rowCount} rows; a segment has at least one`)
  if (segment.firstPosition !== slot.length) {
    refuse(index, `first position ${segment.firstPosition}; slot ${segment.slot} expects ${slot.length}`)
  }
  if (slot.length + rowCount > slot.maxPositions) {
    refuse(index, `positions up to ${slot.length + rowCount}; slot ${segment.slot} was opened for ${slot.maxPositions}`)
  }
}

function checkInput(index: number, { input }: Segment, { span }: KvSlot, config: ModelConfig): void {
  if (input.kind === 'rows') {
    if (isFirstSpan(span)) refuse(index, 'rows as input of layer 0, which takes token ids')
    if (!ROW_ENCODINGS.includes(input.encoding)) refuse(index, `unknown row encoding ${String(input.encoding)}`)
    const bytes = input.rowCount * rowBytes(input.encoding, config.width)
    if (input.bytes.byteLength !== bytes) {
      refuse(index, `${input.bytes.byteLength} bytes; ${input.rowCount} rows of ${input.encoding} take ${bytes}`)
    }
    return
  }
  if (!isFirstSpan(span)) refuse(index, `token ids as input of layer ${span.firstLayer}; only layer 0 takes them`)
  const unknown = input.ids.find((id) => id >= config.vocabularySize)
  if (unknown !== undefined) refuse(index, `token id ${unknown}; the vocabulary has ${config.vocabularySize}`)
}

function checkOutput(index: number, segment: Segment, { span }: KvSlot, config: ModelConfig): void {
  const { output } = segment
  if (output.kind === 'rows') {
    if (!ROW_ENCODINGS.includes(output.encoding)) refuse(index, `unknown row encoding ${String(output.encoding)}`)
    return
  }
  if (!isLastSpan(config, span)) refuse(index, `${output.kind} from layer ${span.endLayer - 1}; only the last layer has them`)
  const { resultCount } = output
  if (!Number.isSafeInteger(resultCount) || resultCount < 0 || resultCount > segmentRows(segment)) {
    refuse(index, `results of ${resultCount} rows; the segment has ${segmentRows(segment)}`)
  }
  if (output.kind === 'logits') return
  const topKMax = Math.min(TOP_K_MAX, config.vocabularySize)
  if (!Number.isSafeInteger(output.topK) || output.topK < 1 || output.topK > topKMax) {
    refuse(index, `the ${output.topK} best logits; 1 … ${topKMax} can be asked for`)
  }
  if (output.named !== undefined) checkNamed(index, output.named, resultCount, config)
}

function checkNamed(index: number, named: Uint32Array, resultCount: number, config: ModelConfig): void {
  const each = named.length / resultCount
  if (!Number.isInteger(each) || each < 1 || each > NAMED_TOKENS_MAX)
    refuse(index, `${named.length} named tokens of ${resultCount} results; 1 … ${NAMED_TOKENS_MAX} each can be named`)
  const unknown = named.find((id) => id >= config.vocabularySize)
  if (unknown !== undefined) refuse(index, `token id ${unknown} is named; the vocabulary has ${config.vocabularySize}`)
}

/** The tokens that a result of the segment names; null where it names none. */
export function namedTokens({ output }: Segment, resultIndex: number): Uint32Array | null {
  if (output.kind !== 'candidates' || output.named === undefined) return null
  const each = output.named.length / output.resultCount
  return output.named.subarray(resultIndex * each, (resultIndex + 1) * each)
}

function refuse(index: number, rule: string): never {
  throw new EngineError('bad-batch', `segment ${index}: ${rule}`)
}
