/** The payload of a ResultsFrame: for each wanted row its logsumexp and its k best logits. */

import { assert, err, ok, type Result } from '../shared/index.ts'
import type { ResultsFrame } from './frames.ts'

/** The k best logits of one position, best first, ties to the lowest id; `logSumExp` is over the whole vocabulary. */
export interface PositionCandidates {
  readonly position: number
  readonly logSumExp: number
  readonly ids: Uint32Array
  readonly logits: Float32Array
  /** Of the tokens that the position's row named; left out where it named none. */
  readonly named?: NamedLogits
}

export interface NamedLogits {
  readonly ids: Uint32Array
  readonly logits: Float32Array
}

/** Bytes of one row: f32 logSumExp, then topK × (u32 id, f32 logit). */
export function candidateBytes(topK: number): number {
  return 4 + 8 * topK
}

/** The candidates of a row of so many bytes. */
export function topKOf(bytes: number): number {
  return (bytes - 4) / 8
}

/** Rows [rows.length], each with `topK` candidates. Positions do not travel: the frame's header implies them. */
export function encodeCandidates(rows: readonly Omit<PositionCandidates, 'position'>[], topK: number): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(rows.length * candidateBytes(topK))
  const view = new DataView(bytes.buffer)
  rows.forEach(({ logSumExp, ids, logits }, row) => {
    assert(ids.length === topK && logits.length === topK, `${ids.length} ids and ${logits.length} logits for top ${topK}`)
    const at = row * candidateBytes(topK)
    view.setFloat32(at, logSumExp, true)
    for (let rank = 0; rank < topK; rank++) {
      view.setUint32(at + 4 + 8 * rank, ids[rank] ?? 0, true)
      view.setFloat32(at + 8 + 8 * rank, logits[rank] ?? 0, true)
    }
  })
  return bytes
}

/** The named tokens of the rows, (u32 id, f32 logit) each; undefined where none were named. All rows name as many. */
export function encodeNamed(rows: readonly Pick<PositionCandidates, 'named'>[]): Uint8Array<ArrayBuffer> | undefined {
  const each = rows[0]?.named?.ids.length ?? 0
  if (each === 0) return undefined
  const bytes = new Uint8Array(8 * each * rows.length)
  const view = new DataView(bytes.buffer)
  rows.forEach(({ named }, row) => {
    assert(named?.ids.length === each && named.logits.length === each, `${named?.ids.length} named tokens beside a row of ${each}`)
    for (let index = 0; index < each; index++) {
      view.setUint32(8 * (row * each + index), named.ids[index] ?? 0, true)
      view.setFloat32(8 * (row * each + index) + 4, named.logits[index] ?? 0, true)
    }
  })
  return bytes
}

/** Candidates of the frame's last `resultCount` positions; an error names what no honest stage sends (rules F15 and F22). */
export function decodeCandidates(
  frame: Pick<ResultsFrame, 'firstPosition' | 'rowCount' | 'resultCount' | 'topK' | 'payload' | 'named'>,
  vocabularySize: number,
): Result<PositionCandidates[], string> {
  const { topK, payload } = frame
  const stride = candidateBytes(topK)
  if (payload.byteLength !== frame.resultCount * stride)
    return err(`results of ${payload.byteLength} bytes, not ${frame.resultCount * stride}`)
  const view = new DataView(payload.buffer, payload.byteOffset, payload.byteLength)
  const firstPosition = frame.firstPosition + frame.rowCount - frame.resultCount
  const rows: PositionCandidates[] = []
  for (let row = 0; row < frame.resultCount; row++) {
    const at = row * stride
    const [ids, logits] = [new Uint32Array(topK), new Float32Array(topK)]
    for (let rank = 0; rank < topK; rank++) {
      ids[rank] = view.getUint32(at + 4 + 8 * rank, true)
      logits[rank] = view.getFloat32(at + 8 + 8 * rank, true)
    }
    const found = { position: firstPosition + row, logSumExp: view.getFloat32(at, true), ids, logits }
    const named = namedOf(frame, row)
    const candidates = named === null ? found : { ...found, named }
    const fault = findFault(candidates, vocabularySize) ?? findNamedFault(candidates, vocabularySize)
    if (fault !== null) return err(`results of position ${candidates.position}: ${fault}`)
    rows.push(candidates)
  }
  return ok(rows)
}

function namedOf({ named, resultCount }: Pick<ResultsFrame, 'named' | 'resultCount'>, row: number): NamedLogits | null {
  if (named === undefined) return null
  const view = new DataView(named.buffer, named.byteOffset, named.byteLength)
  const each = named.byteLength / 8 / resultCount
  const at = (index: number) => 8 * (row * each + index)
  return {
    ids: Uint32Array.from({ length: each }, (_, index) => view.getUint32(at(index), true)),
    logits: Float32Array.from({ length: each }, (_, index) => view.getFloat32(at(index) + 4, true)),
  }
}

/** A named token is one of the best with the same logit, or has none that is better than theirs. */
function findNamedFault({ ids, logits, named }: PositionCandidates, vocabularySize: number): string | null {
  const [last, lastId] = [logits.at(-1) ?? 0, ids.at(-1) ?? 0]
  for (const [index, id] of named?.ids.entries() ?? []) {
    const logit = named?.logits[index] ?? 0
    if (id >= vocabularySize) return `named token ${id} is not in the vocabulary of ${vocabularySize}`
    if (!Number.isFinite(logit)) return `the logit of named token ${id} is ${logit}`
    const rank = ids.indexOf(id)
    if (rank >= 0 ? logits[rank] !== logit : logit > last || (logit === last && id < lastId))
      return `the logit of named token ${id} contradicts the candidates`
  }
  return null
}

function findFault({ logSumExp, ids, logits }: PositionCandidates, vocabularySize: number): string | null {
  if (!Number.isFinite(logSumExp)) return `logSumExp is ${logSumExp}`
  let [previousLogit, previousId] = [Number.POSITIVE_INFINITY, -1]
  for (let rank = 0; rank < ids.length; rank++) {
    const [id, logit] = [ids[rank] ?? 0, logits[rank] ?? 0]
    if (id >= vocabularySize) return `token ${id} is not in the vocabulary of ${vocabularySize}`
    if (!Number.isFinite(logit)) return `the logit of token ${id} is ${logit}`
    if (ids.indexOf(id) < rank) return `token ${id} comes twice`
    if (logit > previousLogit || (logit === previousLogit && id < previousId)) return `candidate ${rank} is out of order`
    previousLogit = logit
    previousId = id
  }
  return null
}
