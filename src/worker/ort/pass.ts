/**
 * One forward pass: rows of segments with the same span go through the matrices together, at most PASS_ROWS at once, whatever their kind:
 * a packed matrix gives a row the same bits in any company. Only attention tells kinds apart. A slot's length moves when the whole pass has
 * succeeded.
 */

import { decodeRows, encodeRows } from '../../protocol/index.ts'
import { required, TabswarmError } from '../../shared/index.ts'
import { segmentRows } from '../batch.ts'
import { bestCandidates } from '../cpu/candidates.ts'
import type { Candidates, Segment, SegmentOutput } from '../engine.ts'
import { EngineError } from '../errors.ts'
import type { KvSlot } from '../kvBlocks.ts'
import { clearValues, passAngles, type RowRun } from './attention.ts'
import { mixExperts } from './experts.ts'
import { HEAD_ROWS, PASS_ROWS } from './memory.ts'
import { embed, type SpanLayer, type SpanModel } from './spanModel.ts'

/** A segment under way: its residual rows in `x` [rows, width]. */
interface Work {
  readonly segment: Segment
  readonly slot: KvSlot
  readonly x: Float32Array
}

/** Rows of a work that go through the layers with others. */
interface Piece {
  readonly work: Work
  readonly from: number
  readonly count: number
}

/**
 * Computes a valid batch; `pause` is awaited between layers of many rows and may reject to end the pass. Rejects with an EngineError
 * `not-finite`.
 */
export async function runPass(model: SpanModel, segments: readonly Segment[], pause: () => Promise<void>): Promise<SegmentOutput[]> {
  const works = segments.map((segment): Work => ({ segment, slot: model.slots.get(segment.slot), x: readInput(model, segment) }))
  try {
    for (const group of groupBySpan(works)) for (const pieces of cutPieces(group)) await runPieces(model, pieces, pause)
    const outputs: SegmentOutput[] = []
    for (const work of works) outputs.push(await finish(model, work))
    for (const { segment } of works) {
      // A slot that was closed or truncated while the pass ran keeps what its owner made of it.
      if (model.slots.find(segment.slot)?.length === segment.firstPosition) model.slots.append(segment.slot, segmentRows(segment))
    }
    return outputs
  } catch (error) {
    for (const { segment, slot } of works) {
      for (let layer = slot.span.firstLayer; layer < slot.span.endLayer; layer++) {
        clearValues(model.config, layerOf(model, layer).kv, slot, segment.firstPosition, segmentRows(segment))
      }
    }
    throw error
  }
}

function readInput(model: SpanModel, { input }: Segment): Float32Array {
  if (input.kind === 'tokens') return embed(model, input.ids)
  try {
    return decodeRows(input.encoding, input.bytes, model.config.width)
  } catch (cause) {
    if (cause instanceof TabswarmError) throw new EngineError('not-finite', `the input rows are unusable: ${cause.message}`, { cause })
    throw cause
  }
}

function groupBySpan(works: readonly Work[]): Work[][] {
  const groups = new Map<string, Work[]>()
  for (const work of works) {
    const { firstLayer, endLayer } = work.slot.span
    const key = `${firstLayer}-${endLayer}`
    groups.set(key, [...(groups.get(key) ?? []), work])
  }
  return [...groups.values()]
}

/** In turns of at most PASS_ROWS rows; a long segment takes several. */
function cutPieces(works: readonly Work[]): Piece[][] {
  const turns: Piece[][] = [[]]
  let free = PASS_ROWS
  for (const work of works) {
    const rows = segmentRows(work.segment)
    for (let from = 0; from < rows; ) {
      const count = Math.min(free, rows - from)
      required(turns.at(-1), 'a turn').push({ work, from, count })
      from += count
      free -= count
      if (free > 0) continue
      turns.push([])
      free = PASS_ROWS
    }
  }
  return turns.filter((pieces) => pieces.length > 0)
}

async function runPieces(model: SpanModel, pieces: readonly Piece[], pause: () => Promise<void>): Promise<void> {
  const { config } = model
  const { width } = config
  const { span } = required(pieces[0], 'a piece').work.slot
  const rowCount = pieces.reduce((sum, { count }) => sum + count, 0)
  let x: Float32Array = new Float32Array(rowCount * width)
  const runs: RowRun[] = []
  let index = 0
  for (const { work, from, count } of pieces) {
    x.set(work.x.subarray(from * width, (from + count) * width), index * width)
    runs.push({ slot: work.slot, kind: work.segment.kind, index, firstPosition: work.segment.firstPosition + from, count })
    index += count
  }
  const angles = passAngles(config, model.layers.values(), runs, rowCount)
  for (let layer = span.firstLayer; layer < span.endLayer; layer++) {
    await pause()
    x = await runLayer(model, layerOf(model, layer), x, runs, angles)
  }
  pieces.forEach(({ work, from, count }, piece) => {
    const at = required(runs[piece], 'a run').index
    work.x.set(x.subarray(at * width, (at + count) * width), from * width)
  })
}

function layerOf(model: SpanModel, layer: number): SpanLayer {
  return required(model.layers.get(layer), `layer ${layer}`)
}

async function runLayer(
  model: SpanModel,
  layer: SpanLayer,
  x: Float32Array,
  runs: readonly RowRun[],
  angles: ReturnType<typeof passAngles>,
): Promise<Float32Array> {
  const { width } = model.config
  const rows = x.length / width
  const residual = { data: x, dims: [rows, width] }
  const { qkv } = await layer.enter.run({ x: residual }, ['qkv'])
  const attended = await model.attention.attend(layer, runs, qkv, angles)
  const inputs = { x: residual, attention: { data: attended, dims: [rows, attended.length / rows] } }
  if (model.config.experts !== null) return mixExperts(model.config, layer, inputs)
  return (await layer.leave.run(inputs, ['y'])).y
}

async function finish(model: SpanModel, { segment, x }: Work): Promise<SegmentOutput> {
  const { output } = segment
  const { width } = model.config
  if (output.kind === 'rows') {
    assertFinite(x, segment)
    return { kind: 'rows', bytes: encodeRows(output.encoding, x, width) }
  }
  const { vocabularySize } = model.config
  const first = segmentRows(segment) - output.resultCount
  const positions: Candidates[] = []
  const values = new Float32Array(output.kind === 'logits' ? output.resultCount * vocabularySize : 0)
  for (let done = 0; done < output.resultCount; done += HEAD_ROWS) {
    const count = Math.min(HEAD_ROWS, output.resultCount - done)
    const from = first + done
    const logits = await runHead(model, x.subarray(from * width, (from + count) * width), count)
    assertFinite(logits, segment)
    if (output.kind === 'logits') values.set(logits, done * vocabularySize)
    else
      for (let row = 0; row < count; row++) {
        const own = logits.subarray(row * vocabularySize, (row + 1) * vocabularySize)
        positions.push(bestCandidates(segment.firstPosition + from + row, own, output.topK))
      }
  }
  return output.kind === 'logits' ? { kind: 'logits', values } : { kind: 'candidates', positions }
}

/** Logits [count, vocabulary] of residual rows. */
async function runHead({ config, head }: SpanModel, x: Float32Array, count: number): Promise<Float32Array> {
  const { vocabularySize, width, logitSoftCap } = config
  const all = new Float32Array(count * vocabularySize)
  let first = 0
  for (const graph of head) {
    const { logits } = await graph.run({ x: { data: x, dims: [count, width] } }, ['logits'])
    const outputs = logits.length / count
    for (let row = 0; row < count; row++) all.set(logits.subarray(row * outputs, (row + 1) * outputs), row * vocabularySize + first)
    first += outputs
  }
  if (logitSoftCap !== null) for (let i = 0; i < all.length; i++) all[i] = logitSoftCap * Math.tanh((all[i] ?? 0) / logitSoftCap)
  return all
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
