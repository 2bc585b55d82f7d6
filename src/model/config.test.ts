import { describe, expect, it } from 'vitest'
import { memoryFile, type TinyTensor, testData, tinyLlama, type WrittenValue, writeGguf } from '../../test/support/gguf.ts'
import { readModel } from './config.ts'
import { readGguf } from './gguf/readGguf.ts'

const open = (bytes: Uint8Array) => readGguf(memoryFile(bytes), new AbortController().signal)
const reading = async (change: Parameters<typeof tinyLlama>[0]) => readModel(await open(writeGguf(tinyLlama(change))))
const uint32 = (value: number): WrittenValue => ({ type: 'uint32', value })
const float32 = (value: number): WrittenValue => ({ type: 'float32', value })
const string = (value: string): WrittenValue => ({ type: 'string', value })

describe('readModel', () => {
  it('reads the sizes of a model and takes the defaults that the format gives', async () => {
    const { config, tensors } = await reading({})
    expect(config).toEqual({
      architecture: 'llama',
      layerCount: 1,
      width: 32,
      headCount: 2,
      kvHeadCount: 1,
      headSize: 16,
      feedForwardWidth: 64,
      vocabularySize: 4,
      contextLength: 64,
      rmsEpsilon: Math.fround(1e-5),
      ropeBase: 10_000,
      ropeDimensions: 16,
      tiedHead: false,
    })
    expect(tensors).toHaveLength(12)
  })

  it('knows a tied head by the missing output.weight, and scaled RoPE by rope_freqs.weight', async () => {
    const { config } = await reading({
      tensors: (all) => [...all.filter(({ name }) => name !== 'output.weight'), { name: 'rope_freqs.weight', shape: [8] }],
    })
    expect(config.tiedHead).toBe(true)
  })

  it('honours a head size that is not width / heads', async () => {
    const resize = (all: TinyTensor[]) =>
      all.map((tensor) => {
        if (/attn_[kv]/.test(tensor.name)) return { ...tensor, shape: [32, 8] }
        if (tensor.name.includes('attn_q')) return { ...tensor, shape: [32, 16] }
        return tensor.name.includes('attn_output') ? { ...tensor, shape: [16, 32] } : tensor
      })
    const { config } = await reading({
      metadata: { 'llama.attention.key_length': uint32(8), 'llama.attention.value_length': uint32(8) },
      tensors: resize,
    })
    expect([config.headSize, config.ropeDimensions]).toEqual([8, 8])
  })

  it.each(['llama', 'llama3-rope', 'mistral'])('accepts the real file %s', async (name) => {
    const { config } = readModel(await open(testData(`tiny/${name}.gguf`)))
    expect(config).toMatchObject({ width: 128, headCount: 4, kvHeadCount: 2, headSize: 32, tiedHead: name === 'llama3-rope' })
  })

  const replace = (name: string, change: Partial<TinyTensor>) => (all: TinyTensor[]) =>
    all.map((tensor) => (tensor.name === name ? { ...tensor, ...change } : tensor))
  const refused: [string, Parameters<typeof tinyLlama>[0], string, RegExp][] = [
    ['another architecture', { metadata: { 'general.architecture': string('gemma3') } }, 'unsupported', /"gemma3"; supported: llama/],
    ['missing metadata', { metadata: { 'llama.block_count': null } }, 'malformed', /llama\.block_count/],
    [
      'a number of another type',
      { metadata: { 'llama.block_count': string('two') } },
      'malformed',
      /llama\.block_count is not a finite number/,
    ],
    ['no layers', { metadata: { 'llama.block_count': uint32(0) } }, 'malformed', /llama\.block_count is 0/],
    [
      'more layers than tensors',
      { metadata: { 'llama.block_count': uint32(2) } },
      'malformed',
      /no tensor blk\.1\.attn_norm\.weight \(and 8 others\)/,
    ],
    [
      'heads that do not divide the width',
      { metadata: { 'llama.attention.head_count': uint32(3) } },
      'malformed',
      /32 is not a multiple of 3 heads/,
    ],
    [
      'key-value heads that do not divide the heads',
      { metadata: { 'llama.attention.head_count': uint32(4), 'llama.attention.head_count_kv': uint32(3) } },
      'malformed',
      /4 heads are not a multiple of 3/,
    ],
    ['an odd number of rotated dimensions', { metadata: { 'llama.rope.dimension_count': uint32(7) } }, 'malformed', /7 rotated/],
    ['more rotated dimensions than a head has', { metadata: { 'llama.rope.dimension_count': uint32(32) } }, 'malformed', /32 rotated/],
    [
      'keys and values of different sizes',
      { metadata: { 'llama.attention.value_length': uint32(8) } },
      'unsupported',
      /keys of 16 and values of 8/,
    ],
    ['experts', { metadata: { 'llama.expert_count': uint32(8) } }, 'unsupported', /experts \(llama\.expert_count = 8\)/],
    ['linear RoPE scaling', { metadata: { 'llama.rope.scaling.type': string('linear') } }, 'unsupported', /rope\.scaling\.type = linear/],
    ['YaRN', { metadata: { 'llama.rope.scaling.type': string('yarn') } }, 'unsupported', /yarn/],
    ['a sliding window', { metadata: { 'llama.attention.sliding_window': uint32(16) } }, 'unsupported', /sliding-window/],
    [
      'an epsilon of NaN',
      { metadata: { 'llama.attention.layer_norm_rms_epsilon': float32(Number.NaN) } },
      'malformed',
      /layer_norm_rms_epsilon/,
    ],
    [
      'a wrong shape',
      { tensors: replace('blk.0.attn_k.weight', { shape: [32, 32] }) },
      'malformed',
      /attn_k\.weight has the shape \[32, 32\].*\[32, 16\]/,
    ],
    ['a missing tensor', { tensors: (all) => all.filter(({ name }) => name !== 'output_norm.weight') }, 'malformed', /output_norm\.weight/],
    ['no weights at all', { tensors: () => [] }, 'unsupported', /vocabulary only/],
    ['a bias', { tensors: (all) => [...all, { name: 'blk.0.attn_q.bias', shape: [32] }] }, 'unsupported', /blk\.0\.attn_q\.bias/],
    [
      'a type that is not computed with',
      { tensors: replace('blk.0.ffn_up.weight', { typeId: 2, byteLength: 64 * 18 }) },
      'unsupported',
      /ffn_up\.weight in Q4_0; supported types are F32, F16, BF16, Q4_1, Q8_0/,
    ],
  ]
  it.each(refused)('refuses %s by name', async (_, change, reason, message) => {
    await expect(reading(change)).rejects.toMatchObject({ reason, message: expect.stringMatching(message) })
  })

  it('accepts keys with the values that change nothing', async () => {
    const metadata = { 'llama.rope.scaling.type': string('none'), 'llama.rope.scaling.factor': float32(1), 'llama.expert_count': uint32(0) }
    expect((await reading({ metadata })).config.layerCount).toBe(1)
  })
})
