/** A session as its stages saw it: what came into each span, position by position, with the row's kind. Replays begin from these rows. */

import type { ModelConfig, Span } from '../model/index.ts'
import type { RowEncoding, RowKind } from '../protocol/index.ts'
import { assert, concatBytes, required } from '../shared/index.ts'
import type { Engine, Segment, SegmentOutput, Slot } from '../worker/index.ts'

export interface RecordedSession {
  /** How its rows went over the wire. */
  readonly encoding: RowEncoding
  /** Of each position; the first `promptTokens` were a prompt, the others one a lap. */
  readonly tokenIds: Uint32Array
  readonly promptTokens: number
  /** By the layer that they go into, as they were sent: [positions, rowBytes(encoding, width)]. Layer 0 takes token ids. */
  readonly rows: ReadonlyMap<number, Uint8Array>
}

export interface RecordRequest {
  readonly promptIds: readonly number[]
  /** Of the answer, at most: the most likely one each time. The last is not submitted any more. */
  readonly answerTokens: number
  readonly encoding: RowEncoding
  /** Tokens behind which an answer ends. */
  readonly endIds: readonly number[]
}

/** Rows of a prompt that go through a stage together. */
export const CHUNK_ROWS = 64

/** Consecutive spans from the first layer to the last. */
export function cutSpans({ layerCount }: ModelConfig, count: number): Span[] {
  assert(count >= 1 && count <= layerCount, `${layerCount} layers in ${count} spans`)
  return Array.from({ length: count }, (_, index) => ({
    firstLayer: Math.floor((layerCount * index) / count),
    endLayer: Math.floor((layerCount * (index + 1)) / count),
  }))
}

/** Runs a session through `spans` on an engine that has loaded all of them, with room for it in each. */
export async function recordSession(engine: Engine, spans: readonly Span[], request: RecordRequest): Promise<RecordedSession> {
  const { promptIds, answerTokens, encoding, endIds } = request
  const slots = spans.map((span) => ({ span, slot: openSlot(engine, span, promptIds.length + answerTokens) }))
  const rows = new Map(spans.slice(1).map(({ firstLayer }) => [firstLayer, [] as Uint8Array[]]))
  const tokenIds: number[] = []
  /** The most likely token behind `ids`. */
  const lap = async (kind: RowKind, ids: readonly number[]): Promise<number> => {
    let input: Segment['input'] = { kind: 'tokens', ids: Uint32Array.from(ids) }
    for (const { span, slot } of slots) {
      const into = rows.get(span.endLayer)
      const output = into === undefined ? ({ kind: 'candidates', resultCount: 1, topK: 1 } as const) : ({ kind: 'rows', encoding } as const)
      const sent = await forwardOne(engine, { slot, kind, firstPosition: tokenIds.length, input, output })
      if (sent.kind === 'rows') {
        into?.push(sent.bytes)
        input = { kind: 'rows', encoding, rowCount: ids.length, bytes: sent.bytes }
      } else if (sent.kind === 'candidates') {
        tokenIds.push(...ids)
        return required(sent.positions[0]?.ids[0], 'a candidate')
      }
    }
    throw new Error('assertion failed: the last span gave no candidates')
  }
  let next = 0
  for (let at = 0; at < promptIds.length; at += CHUNK_ROWS) next = await lap('prompt', promptIds.slice(at, at + CHUNK_ROWS))
  for (let answered = 1; answered < answerTokens && !endIds.includes(next); answered++) next = await lap('decode', [next])
  for (const { slot } of slots) engine.close(slot)
  return {
    encoding,
    tokenIds: Uint32Array.from(tokenIds),
    promptTokens: promptIds.length,
    rows: new Map([...rows].map(([layer, parts]) => [layer, concatBytes(parts)])),
  }
}

export function openSlot(engine: Engine, span: Span, maxPositions: number): Slot {
  const opened = engine.open({ span, maxPositions })
  assert(
    opened.ok,
    `the KV cache was loaded without room for ${maxPositions} positions of layers ${span.firstLayer} … ${span.endLayer - 1}`,
  )
  return opened.value
}

export async function forwardOne(engine: Engine, segment: Segment): Promise<SegmentOutput> {
  const { outputs } = await engine.forward([segment])
  return required(outputs[0], 'an output')
}
