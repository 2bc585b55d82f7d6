/** Replay: a span over the rows that came into it in a recorded session, as an auditor computes it: many rows a pass, each of its own kind. */

import { isFirstSpan, isLastSpan, type ModelConfig, type Span } from '../model/index.ts'
import { type PositionCandidates, type RowKind, rowBytes } from '../protocol/index.ts'
import { concatBytes, required } from '../shared/index.ts'
import type { Engine, Segment } from '../worker/index.ts'
import { forwardOne, openSlot, type RecordedSession } from './recording.ts'

/** What a span sends in a session. */
export type SpanOutput =
  /** [positions, rowBytes], encoded as the session's rows are. */
  | { readonly kind: 'rows'; readonly bytes: Uint8Array }
  /** Of the positions that a driver asks for: the prompt's last, and those of the answer. */
  | { readonly kind: 'candidates'; readonly positions: readonly PositionCandidates[] }

/** By session's index in the recording, then by span. */
export type Outputs = ReadonlyMap<number, readonly SpanOutput[]>

/** Candidates of a row, as grants ask for them. */
const TOP_K = 128

/** `chunkRows` of one kind go together at most; results do not depend on it. */
export async function replay(
  engine: Engine,
  config: ModelConfig,
  session: RecordedSession,
  span: Span,
  chunkRows: number,
): Promise<SpanOutput> {
  const count = session.tokenIds.length
  const slot = openSlot(engine, span, count)
  const rows: Uint8Array[] = []
  const positions: PositionCandidates[] = []
  for (const { kind, first, end } of chunksOf(session, chunkRows)) {
    const resultCount = kind === 'decode' ? end - first : Number(end === session.promptTokens)
    const output: Segment['output'] = isLastSpan(config, span)
      ? { kind: 'candidates', resultCount, topK: Math.min(TOP_K, config.vocabularySize) }
      : { kind: 'rows', encoding: session.encoding }
    const sent = await forwardOne(engine, { slot, kind, firstPosition: first, input: inputOf(session, span, config, first, end), output })
    if (sent.kind === 'rows') rows.push(sent.bytes)
    else if (sent.kind === 'candidates') positions.push(...sent.positions)
  }
  engine.close(slot)
  return isLastSpan(config, span) ? { kind: 'candidates', positions } : { kind: 'rows', bytes: concatBytes(rows) }
}

interface Chunk {
  readonly kind: RowKind
  readonly first: number
  readonly end: number
}

function chunksOf({ promptTokens, tokenIds }: RecordedSession, chunkRows: number): Chunk[] {
  const parts: readonly Chunk[] = [
    { kind: 'prompt', first: 0, end: promptTokens },
    { kind: 'decode', first: promptTokens, end: tokenIds.length },
  ]
  return parts.flatMap(({ kind, first, end }) =>
    Array.from({ length: Math.ceil((end - first) / chunkRows) }, (_, index) => ({
      kind,
      first: first + index * chunkRows,
      end: Math.min(end, first + (index + 1) * chunkRows),
    })),
  )
}

function inputOf(session: RecordedSession, span: Span, { width }: ModelConfig, first: number, end: number): Segment['input'] {
  if (isFirstSpan(span)) return { kind: 'tokens', ids: session.tokenIds.subarray(first, end) }
  const { encoding } = session
  const stride = rowBytes(encoding, width)
  const rows = required(session.rows.get(span.firstLayer), `recorded rows into layer ${span.firstLayer}`)
  return { kind: 'rows', encoding, rowCount: end - first, bytes: rows.subarray(first * stride, end * stride) }
}
