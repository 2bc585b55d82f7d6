/** The payload of a ResultsFrame: for each wanted row its logsumexp and its k best logits. */

import { assert, err, ok, type Result } from '../shared/index.ts'
import type { ResultsFrame } from './frames.ts'

/** The k best logits of one position, best first, ties to the lowest id; `logSumExp` is over the whole vocabulary. */
export interface PositionCandidates {
  readonly position: number
  readonly logSumExp: number
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

/** Candidates of the frame's last `resultCount` positions; an error names what no honest stage sends (rule F15). */
export function decodeCandidates(
  frame: Pick<ResultsFrame, 'firstPosition' | 'rowCount' | 'resultCount' | 'topK' | 'payload'>,
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
    const candidates = { position: firstPosition + row, logSumExp: view.getFloat32(at, true), ids, logits }
    const fault = findFault(candidates, vocabularySize)
    if (fault !== null) return err(`results of position ${candidates.position}: ${fault}`)
    rows.push(candidates)
  }
  return ok(rows)
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
