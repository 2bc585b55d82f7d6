/** Rows leave an engine, and enter it, in every encoding of the wire as protocol's codec has them: byte for byte, bit for bit. */

import { expect, it } from 'vitest'
import { decodeRows, encodeRows, ROW_ENCODINGS, type RowEncoding } from '../../../src/protocol/index.ts'
import type { Engine, Segment } from '../../../src/worker/index.ts'
import { config, expectReason, openSlot, run, tokens } from '../engineRuns.ts'

export function rowEncodings(engine: () => Engine): void {
  const head = { firstLayer: 0, endLayer: 2 }
  const tail = { firstLayer: 2, endLayer: config.layerCount }
  const rowCount = 7

  /** What layers 0 and 1 give for some tokens, packed. */
  async function packed(encoding: RowEncoding): Promise<Uint8Array> {
    const slot = openSlot(engine(), head)
    const input: Segment['input'] = { kind: 'tokens', ids: tokens(rowCount) }
    const { outputs } = await engine().forward([{ slot, kind: 'prompt', firstPosition: 0, input, output: { kind: 'rows', encoding } }])
    engine().close(slot)
    const [output] = outputs
    if (output?.kind !== 'rows') throw new Error(`expected rows, got ${output?.kind}`)
    return output.bytes
  }

  function rowsSegment(slot: number, encoding: RowEncoding, bytes: Uint8Array): Segment {
    const input: Segment['input'] = { kind: 'rows', encoding, rowCount, bytes }
    return { slot, kind: 'prompt', firstPosition: 0, input, output: { kind: 'candidates', resultCount: rowCount, topK: 8 } }
  }

  async function results(encoding: RowEncoding, bytes: Uint8Array) {
    const slot = openSlot(engine(), tail)
    const candidates = await run(engine(), rowsSegment(slot, encoding, bytes))
    engine().close(slot)
    return candidates
  }

  it.each(ROW_ENCODINGS)('[F16] packs %s rows as encodeRows does, and takes them as decodeRows does', async (encoding) => {
    const exact = decodeRows('f32', await packed('f32'), config.width)
    const bytes = await packed(encoding)
    expect(bytes).toEqual(encodeRows(encoding, exact, config.width))
    const values = decodeRows(encoding, bytes, config.width)
    // Control: an encoding that rounds does.
    expect(values.every((value, at) => value === exact[at])).toBe(encoding === 'f32')
    expect(await results(encoding, bytes)).toEqual(await results('f32', encodeRows('f32', values, config.width)))
  })

  it('[F17] computes nothing from an i8b row that no encoder writes', async () => {
    const slot = openSlot(engine(), tail)
    const bytes = await packed('i8b')
    bytes[4] = config.width & 255
    bytes[5] = config.width >> 8
    await expectReason(engine().forward([rowsSegment(slot, 'i8b', bytes)]), 'not-finite')
    expect(engine().length(slot)).toBe(0)
    engine().close(slot)
  })
}
