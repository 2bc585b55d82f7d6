/**
 * One forward pass on a processor: reads the segments' inputs, runs the rows layer by layer, and makes the outputs. Rows of
 * segments with the same span go together, at most CPU_PASS_ROWS at once, each segment's in order of position. A slot's
 * length moves only when the whole pass has succeeded.
 */

import { architectureTraits } from '../../model/index.ts'
import { decodeRows, encodeRows } from '../../protocol/index.ts'
import { required, TabswarmError } from '../../shared/index.ts'
import { namedTokens, segmentRows } from '../batch.ts'
import type { Candidates, Segment, SegmentOutput } from '../engine.ts'
import { EngineError } from '../errors.ts'
import { bestCandidates } from './candidates.ts'
import { CPU_HEAD_ROWS, CPU_PASS_ROWS, type CpuModel } from './cpuModel.ts'
import type { CpuRow } from './processor.ts'
import { runHead, runLayer, takeRows } from './transformer.ts'

/** A segment under way: its residual rows pile up in `x` [rowCount, width]. */
interface Work {
  readonly segment: Segment
  readonly rows: readonly CpuRow[]
  readonly x: Float32Array<ArrayBuffer>
}

/** Computes a valid batch; `pause` is awaited before each layer. Rejects with an EngineError `not-finite`. */
export async function runPass(model: CpuModel, segments: readonly Segment[], pause: () => Promise<void>): Promise<SegmentOutput[]> {
  const works = segments.map((segment) => startWork(model, segment))
  for (const group of groupBySpan(works)) await runGroup(model, group, pause)
  const outputs = works.map((work) => finishWork(model, work))
  for (const { segment, rows } of works) {
    // A slot that was closed or truncated while the pass ran keeps what its owner made of it.
    if (model.slots.find(segment.slot)?.length === segment.firstPosition) model.slots.append(segment.slot, rows.length)
  }
  return outputs
}

function startWork(model: CpuModel, segment: Segment): Work {
  const { width } = model.config
  const slot = model.slots.get(segment.slot)
  const rowCount = segmentRows(segment)
  const rows = Array.from({ length: rowCount }, (_, index) => ({ slot, position: segment.firstPosition + index }))
  return { segment, rows, x: readInput(model, segment, new Float32Array(rowCount * width)) }
}

function readInput(model: CpuModel, { input }: Segment, x: Float32Array<ArrayBuffer>): Float32Array<ArrayBuffer> {
  const { width } = model.config
  if (input.kind === 'rows') {
    x.set(decodeInput(input, width))
    return x
  }
  const embedding = required(model.weights.embedding, 'the embedding')
  input.ids.forEach((id, row) => {
    embedding.readRow(id, x, row * width)
  })
  if (architectureTraits(model.config.architecture).scaledEmbedding)
    x.forEach((value, i) => {
      x[i] = value * Math.sqrt(width)
    })
  return x
}

/** Bytes that no finite row has are refused under the reason that a GPU finds for them, after the pass. */
function decodeInput(input: Extract<Segment['input'], { readonly kind: 'rows' }>, width: number): Float32Array {
  try {
    return decodeRows(input.encoding, input.bytes, width)
  } catch (cause) {
    if (cause instanceof TabswarmError) throw new EngineError('not-finite', `the input rows are unusable: ${cause.message}`, { cause })
    throw cause
  }
}

function groupBySpan(works: readonly Work[]): Work[][] {
  const groups = new Map<string, Work[]>()
  for (const work of works) {
    const { span } = required(work.rows[0], 'a row').slot
    const key = `${span.firstLayer}-${span.endLayer}`
    groups.set(key, [...(groups.get(key) ?? []), work])
  }
  return [...groups.values()]
}

async function runGroup(model: CpuModel, works: readonly Work[], pause: () => Promise<void>): Promise<void> {
  const { scratch } = model
  const { width } = model.config
  const all = works.flatMap((work) => work.rows.map((row, index) => ({ row, x: work.x.subarray(index * width, (index + 1) * width) })))
  const { span } = required(all[0], 'a row').row.slot
  for (let from = 0; from < all.length; from += CPU_PASS_ROWS) {
    const part = all.slice(from, from + CPU_PASS_ROWS)
    const rows = part.map(({ row }) => row)
    part.forEach(({ x }, index) => {
      scratch.x.set(x, index * width)
    })
    takeRows(model, rows)
    for (let layer = span.firstLayer; layer < span.endLayer; layer++) {
      await pause()
      runLayer(model, layer, rows)
    }
    part.forEach(({ x }, index) => {
      x.set(scratch.x.subarray(index * width, (index + 1) * width))
    })
  }
}

function finishWork(model: CpuModel, { segment, rows, x }: Work): SegmentOutput {
  const { output } = segment
  const { width, vocabularySize } = model.config
  if (output.kind === 'rows') {
    assertFinite(x, segment)
    return { kind: 'rows', bytes: encodeRows(output.encoding, x, width) }
  }
  const first = rows.length - output.resultCount
  const powers = model.arithmetic.sumPowers.bind(model.arithmetic)
  const positions: Candidates[] = []
  const values = new Float32Array(output.kind === 'logits' ? output.resultCount * vocabularySize : 0)
  for (let done = 0; done < output.resultCount; done += CPU_HEAD_ROWS) {
    const count = Math.min(CPU_HEAD_ROWS, output.resultCount - done)
    const from = first + done
    model.scratch.x.set(x.subarray(from * width, (from + count) * width))
    const logits = runHead(model, count)
    assertFinite(logits, segment)
    if (output.kind === 'logits') values.set(logits, done * vocabularySize)
    else
      for (let row = 0; row < count; row++) {
        const own = logits.subarray(row * vocabularySize, (row + 1) * vocabularySize)
        const ids = namedTokens(segment, done + row)
        const named = ids === null ? {} : { named: { ids, logits: Float32Array.from(ids, (id) => own[id] ?? 0) } }
        positions.push({ ...bestCandidates(segment.firstPosition + from + row, own, output.topK, powers), ...named })
      }
  }
  return output.kind === 'logits' ? { kind: 'logits', values } : { kind: 'candidates', positions }
}

function assertFinite(values: Float32Array, segment: Segment): void {
  // Zero times anything finite is zero; NaN and infinity leave NaN.
  let sum = 0
  for (const value of values) sum += 0 * value
  if (sum === 0) return
  throw new EngineError(
    'not-finite',
    `the outputs of slot ${segment.slot} from position ${segment.firstPosition} hold NaN or infinity: bad input rows, or damaged weights`,
  )
}
