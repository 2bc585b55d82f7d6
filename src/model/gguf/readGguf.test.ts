import { describe, expect, it } from 'vitest'
import { memoryFile, tinyLlama, type WrittenFile, writeGguf } from '../../../test/support/gguf.ts'
import { WINDOW_BYTES_FIRST } from './limits.ts'
import { readGguf } from './readGguf.ts'

const never = new AbortController().signal
const read = (bytes: Uint8Array) => readGguf(memoryFile(bytes), never)
const reading = (file: WrittenFile) => read(writeGguf(file))
const uint64 = (value: bigint) => new Uint8Array(BigUint64Array.of(value).buffer)
const uint32s = (...values: number[]) => new Uint8Array(Uint32Array.from(values).buffer)

describe('readGguf', () => {
  it('reads metadata of every kind and the tensor table', async () => {
    const file = await reading({
      metadata: [
        ['a.string', { type: 'string', value: 'Größe 😀' }],
        ['a.bool', { type: 'bool', value: true }],
        ['a.float', { type: 'float32', value: 0.5 }],
        ['a.long', { type: 'uint64', value: 2 ** 40 }],
        ['a.huge', { type: 'raw', typeId: 10, value: uint64(2n ** 63n) }],
        ['a.strings', { type: 'strings', value: ['Ġt', '', 'x'.repeat(100)] }],
        ['a.floats', { type: 'floats', value: [1, -2.5] }],
        ['a.nested', { type: 'raw', typeId: 9, value: Buffer.concat([uint32s(9), uint64(1n), uint32s(4), uint64(2n), uint32s(7, 8)]) }],
      ],
      tensors: [{ name: 't', typeId: 3, shape: [64, 2], offset: 32 }],
      dataBytes: 32 + 80,
    })
    expect(file.version).toBe(3)
    expect(file.metadata.string('a.string')).toBe('Größe 😀')
    expect(file.metadata.boolean('a.bool')).toBe(true)
    expect(file.metadata.number('a.float')).toBe(0.5)
    expect(file.metadata.integer('a.long', 0, 2 ** 41)).toBe(2 ** 40)
    expect(file.metadata.get('a.huge')).toBe(2n ** 63n)
    expect(file.metadata.strings('a.strings')).toEqual(['Ġt', '', 'x'.repeat(100)])
    expect(file.metadata.numbers('a.floats')).toEqual(Float32Array.of(1, -2.5))
    expect(file.metadata.get('a.nested')).toEqual({
      elementType: 'array',
      values: [{ elementType: 'uint32', values: Uint32Array.of(7, 8) }],
    })
    expect(file.tensors).toEqual([{ name: 't', type: 'Q4_1', shape: [64, 2], byteOffset: file.fileBytes - 80, byteLength: 80 }])
  })

  it('names the key when a value is of another type than its reader wants', async () => {
    const { metadata } = await reading({ metadata: [['a.key', { type: 'string', value: 'x' }]] })
    expect(() => metadata.number('a.key')).toThrow(/a\.key is not a finite number/)
    expect(() => metadata.strings('a.key')).toThrow(/a\.key is not an array of strings/)
    expect(metadata.string('absent')).toBeUndefined()
  })

  it('fetches a long header in a few growing windows and nothing of the weights', async () => {
    const bytes = writeGguf({ ...tinyLlama({ metadata: { long: { type: 'string', value: 'y'.repeat(5 * WINDOW_BYTES_FIRST) } } }) })
    const file = memoryFile(bytes)
    const gguf = await readGguf(file, never)
    expect(gguf.headerBytes.byteLength).toBeGreaterThan(5 * WINDOW_BYTES_FIRST)
    expect(gguf.tensors).toHaveLength(12)
    expect(file.reads.length).toBeLessThanOrEqual(4)
    expect(file.reads[0]).toEqual({ byteOffset: 0, byteLength: WINDOW_BYTES_FIRST })
  })

  it('reads version 2 and vocabulary-only files, and a file that ends with its header', async () => {
    const gguf = await reading({ version: 2, metadata: [['a', { type: 'uint32', value: 1 }]] })
    expect(gguf.version).toBe(2)
    expect(gguf.tensors).toEqual([])
  })

  const one = { name: 't', typeId: 0, shape: [8], offset: 0 }
  const refused: [string, WrittenFile, string, RegExp][] = [
    ['version 1', { version: 1 }, 'unsupported', /version 1/],
    ['big-endian', { version: 3 << 24 }, 'unsupported', /big-endian/],
    ['too many keys', { keyCount: 2 ** 40 }, 'too-large', /number of metadata keys/],
    ['too many tensors', { tensorCount: 70_000 }, 'too-large', /number of tensors/],
    [
      'a key twice',
      {
        metadata: [
          ['k', { type: 'bool', value: true }],
          ['k', { type: 'bool', value: true }],
        ],
      },
      'malformed',
      /"k" twice/,
    ],
    ['a tensor twice', { tensors: [one, { ...one, offset: 32 }], dataBytes: 64 }, 'malformed', /"t" twice/],
    ['an endless string', { metadata: [['k', { type: 'raw', typeId: 8, value: uint64(2n ** 62n) }]] }, 'too-large', /length of a string/],
    [
      'an array the file cannot hold',
      { metadata: [['k', { type: 'raw', typeId: 9, value: Buffer.concat([uint32s(6), uint64(9_000_000n)]) }]] },
      'truncated',
      /array of 9000000/,
    ],
    [
      'an endless array',
      { metadata: [['k', { type: 'raw', typeId: 9, value: Buffer.concat([uint32s(0), uint64(2n ** 40n)]) }]] },
      'too-large',
      /length of "k"/,
    ],
    ['an unknown value type', { metadata: [['k', { type: 'raw', typeId: 13, value: new Uint8Array(8) }]] }, 'malformed', /value type 13/],
    ['a boolean of 7', { metadata: [['k', { type: 'raw', typeId: 7, value: Uint8Array.of(7) }]] }, 'malformed', /boolean of 7/],
    [
      'arrays nested too deep',
      {
        metadata: [
          [
            'k',
            {
              type: 'raw',
              typeId: 9,
              value: Buffer.concat([...Array.from({ length: 6 }, () => [uint32s(9), uint64(1n)]).flat(), new Uint8Array(64)]),
            },
          ],
        ],
      },
      'malformed',
      /deeper/,
    ],
    ['no dimensions', { tensors: [{ ...one, shape: [] }], dataBytes: 32 }, 'malformed', /0 dimensions/],
    ['5 dimensions', { tensors: [{ ...one, shape: [1, 1, 1, 1, 1] }], dataBytes: 32 }, 'malformed', /5 dimensions/],
    ['a dimension of 0', { tensors: [{ ...one, shape: [0] }], dataBytes: 32 }, 'malformed', /dimension of 0/],
    ['a product of sizes beyond 2^53', { tensors: [{ ...one, shape: [2 ** 40, 2 ** 40] }], dataBytes: 32 }, 'too-large', /2\^47/],
    ['an unknown tensor type', { tensors: [{ ...one, typeId: 99 }], dataBytes: 32 }, 'malformed', /tensor type 99/],
    ['a removed tensor type', { tensors: [{ ...one, typeId: 31 }], dataBytes: 32 }, 'unsupported', /Q4_0_4_4/],
    ['half a block', { tensors: [{ ...one, typeId: 8, shape: [48] }], dataBytes: 64 }, 'malformed', /multiple of Q8_0/],
    ['an offset off the alignment', { tensors: [{ ...one, offset: 4 }], dataBytes: 64 }, 'malformed', /alignment 32/],
    ['a tensor beyond the file', { tensors: [{ ...one, shape: [9] }], dataBytes: 32 }, 'truncated', /would end at/],
    ['an offset beyond 2^53', { tensors: [{ ...one, offset: 2 ** 60 }], dataBytes: 32 }, 'too-large', /offset of "t"/],
    [
      'overlapping tensors',
      {
        tensors: [
          { ...one, shape: [16] },
          { ...one, name: 'u', offset: 32 },
        ],
        dataBytes: 64,
      },
      'malformed',
      /overlap/,
    ],
    [
      'an alignment that is no power of two',
      { metadata: [['general.alignment', { type: 'uint32', value: 24 }]] },
      'malformed',
      /power of two/,
    ],
    ['an alignment of 0', { metadata: [['general.alignment', { type: 'uint32', value: 0 }]] }, 'malformed', /general\.alignment is 0/],
  ]
  it.each(refused)('refuses %s', async (_, file, reason, message) => {
    await expect(reading(file)).rejects.toMatchObject({ reason, message: expect.stringMatching(message) })
  })

  it('refuses arrays whose elements would take many times their bytes in the file, all arrays together', async () => {
    const flags = (count: number): WrittenFile => ({
      metadata: [0, 1, 2].map((index) => [
        `k${index}`,
        { type: 'raw', typeId: 9, value: Buffer.concat([uint32s(7), uint64(BigInt(count)), new Uint8Array(count)]) },
      ]),
    })
    expect((await reading(flags(1_000))).metadata.keys()).toHaveLength(3)
    await expect(reading(flags(3 * 1024 * 1024))).rejects.toMatchObject({ reason: 'too-large', message: expect.stringContaining('"k2"') })
  })

  it('accepts the neighbours of the refused: a tensor that ends with the file, tensors that touch', async () => {
    const gguf = await reading({ tensors: [one, { ...one, name: 'u', offset: 32 }], dataBytes: 64 })
    expect(gguf.tensors.map((tensor) => tensor.byteLength)).toEqual([32, 32])
  })

  it('says of other files that they are not GGUF, and of an empty one that it is cut off', async () => {
    await expect(read(new TextEncoder().encode('<!doctype html><title>404</title>'))).rejects.toMatchObject({ reason: 'not-gguf' })
    await expect(read(new Uint8Array(0))).rejects.toMatchObject({ reason: 'truncated' })
  })

  it('says "truncated" wherever the file is cut', async () => {
    const bytes = writeGguf(tinyLlama())
    const { headerBytes } = await read(bytes)
    for (let length = 4; length < headerBytes.byteLength; length++)
      await expect(read(bytes.subarray(0, length)), `cut after ${length} bytes`).rejects.toMatchObject({ reason: 'truncated' })
    await expect(read(bytes.subarray(0, bytes.length - 1))).rejects.toMatchObject({ reason: 'truncated' })
  })

  it('stops when it is told to', async () => {
    const stopped = new AbortController()
    stopped.abort()
    await expect(readGguf(memoryFile(writeGguf(tinyLlama())), stopped.signal)).rejects.toMatchObject({ reason: 'aborted' })
  })
})
