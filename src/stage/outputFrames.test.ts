import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { candidateBytes, decodeFrame, encodeFrame, FRAME_BYTES_MAX, type Grant, rowBytes } from '../protocol/index.ts'
import type { ManifestHash, ModelId, PeerId, SessionId } from '../shared/index.ts'
import { outputRows, resultsFrames, rowsFrames } from './outputFrames.ts'

const grant: Grant = {
  version: 1,
  revision: 0,
  sessionId: '1'.repeat(32) as SessionId,
  modelId: 'm' as ModelId,
  manifestHash: 'a'.repeat(64) as ManifestHash,
  driver: 'd'.repeat(32) as PeerId,
  stages: [],
  maxPositions: 100_000,
  topK: 256,
  rowEncoding: 'f16e',
  issuedAtMs: 0,
  expiresAtMs: 1,
}

const part = fc
  .record({ rowCount: fc.integer({ min: 1, max: 512 }), wanted: fc.nat(512), firstPosition: fc.nat(90_000), epoch: fc.nat(9) })
  .map(({ wanted, ...rest }) => ({ ...rest, kind: 'prompt' as const, resultCount: Math.min(wanted, rest.rowCount), named: null }))

describe('outputFrames', () => {
  it('[F4][S14] cuts activations of any width into frames that fit, and loses no row and no wish', () => {
    fc.assert(
      fc.property(part, fc.constantFrom(4, 576, 4_096, 16_384), (pass, width) => {
        const stride = rowBytes('f16e', width)
        const bytes = new Uint8Array(pass.rowCount * stride)
        for (let row = 0; row < pass.rowCount; row++) bytes.fill(row % 251, row * stride, (row + 1) * stride)
        const rows = outputRows(grant, width, pass, { kind: 'rows', bytes })
        const frames = rowsFrames(grant, { ...pass, rows })
        let position = pass.firstPosition
        for (const frame of frames) {
          const encoded = encodeFrame(frame)
          expect(encoded.byteLength).toBeLessThanOrEqual(FRAME_BYTES_MAX)
          expect(decodeFrame(encoded).ok).toBe(true)
          expect(frame.firstPosition).toBe(position)
          expect(frame.payload[0]).toBe((position - pass.firstPosition) % 251)
          position += frame.rowCount
        }
        expect(position).toBe(pass.firstPosition + pass.rowCount)
        expect(frames.reduce((sum, frame) => sum + frame.resultCount, 0)).toBe(pass.resultCount)
        expect(rows.map(({ bytes: logged }) => logged[0])).toEqual(rows.map((_, row) => row % 251))
      }),
      { numRuns: 30 },
    )
  })

  it('[S13][F8] cuts results into frames that fit, in order, each with the last rows of its own', () => {
    fc.assert(
      fc.property(part, fc.constantFrom(1, 128, 256), (pass, topK) => {
        const firstWanted = pass.firstPosition + pass.rowCount - pass.resultCount
        const positions = Array.from({ length: pass.resultCount }, (_, index) => ({
          position: firstWanted + index,
          logSumExp: firstWanted + index,
          ids: Uint32Array.from({ length: topK }, (_unused, id) => id),
          logits: new Float32Array(topK),
        }))
        const rows = outputRows(grant, 4, pass, { kind: 'candidates', positions })
        const frames = resultsFrames(grant, { ...pass, rows })
        let position = pass.firstPosition
        const values: number[] = []
        for (const frame of frames) {
          expect(frame.type).toBe('results')
          expect(encodeFrame(frame).byteLength).toBeLessThanOrEqual(FRAME_BYTES_MAX)
          expect(frame.firstPosition).toBe(position)
          position += frame.rowCount
          const view = new DataView(frame.payload.buffer, frame.payload.byteOffset, frame.payload.byteLength)
          for (let at = 0; at < view.byteLength; at += candidateBytes(topK)) values.push(view.getFloat32(at, true))
        }
        expect(position).toBe(pass.firstPosition + pass.rowCount)
        expect(values).toEqual(positions.map(({ logSumExp }) => logSumExp))
        const empty = rows.filter(({ bytes }) => bytes.byteLength === 0).length
        expect(empty).toBe(pass.rowCount - pass.resultCount)
      }),
      { numRuns: 30 },
    )
  })
})
