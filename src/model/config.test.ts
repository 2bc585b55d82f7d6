import { describe, expect, it } from 'vitest'
import { changedTiny, memoryFile, type TinyTensor, testData, tinyLlama, type WrittenValue, writeGguf } from '../../test/support/gguf.ts'
import { architectures, layerTraits } from './architecture.ts'
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
      experts: null,
      vocabularySize: 4,
      contextLength: 64,
      rmsEpsilon: Math.fround(1e-5),
      ropeBase: 10_000,
      ropeDimensions: 16,
      ropePositionScale: 1,
      ropeMagnitude: 1,
      windowRopeBase: null,
      slidingWindow: null,
      attentionScale: 0.25,
      attentionSoftCap: null,
      logitSoftCap: null,
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

  it.each(['llama', 'llama3-rope', 'mistral', 'qwen2', 'qwen3', 'qwen3moe', 'gemma2', 'gemma3', 'phi3'])(
    'accepts the real file %s',
    async (name) => {
      const { config } = readModel(await open(testData(`tiny/${name}.gguf`)))
      expect(config).toMatchObject({ width: 128, headCount: 4, kvHeadCount: 2, headSize: name === 'qwen3' ? 64 : 32 })
      expect(config.tiedHead).toBe(/llama3|qwen2|qwen3$|gemma/.test(name))
    },
  )

  const replace = (name: string, change: Partial<TinyTensor>) => (all: TinyTensor[]) =>
    all.map((tensor) => (tensor.name === name ? { ...tensor, ...change } : tensor))
  const refused: [string, Parameters<typeof tinyLlama>[0], string, RegExp][] = [
    [
      'another architecture, with the list of the known',
      { metadata: { 'general.architecture': string('mamba') } },
      'unsupported',
      new RegExp(`"mamba"; supported: ${architectures.join(', ')}$`),
    ],
    ['one part of several', { metadata: { 'split.count': uint32(3) } }, 'unsupported', /one part of 3.*llama-gguf-split --merge/],
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
    [
      'heads larger than engines compute',
      { metadata: { 'llama.attention.key_length': uint32(264), 'llama.attention.value_length': uint32(264) } },
      'unsupported',
      /heads of 264 elements; computed are multiples of 8 up to 256/,
    ],
    ['experts', { metadata: { 'llama.expert_count': uint32(8) } }, 'unsupported', /experts \(llama\.expert_count = 8\)/],
    [
      'YaRN',
      { metadata: { 'llama.rope.scaling.type': string('yarn') } },
      'unsupported',
      /"yarn"; known are linear, longrope and rope_freqs/,
    ],
    ['shared experts', { metadata: { 'llama.expert_shared_count': uint32(1) } }, 'unsupported', /shared experts/],
    [
      'heads of their own for each layer',
      { metadata: { 'llama.attention.head_count': { type: 'ints', value: [2] } } },
      'unsupported',
      /own number of heads \(llama\.attention\.head_count\)/,
    ],
    ['a RoPE base of 0', { metadata: { 'llama.rope.freq_base': float32(0) } }, 'malformed', /RoPE base of 0/],
    ['an infinite factor', { metadata: { 'llama.rope.scaling.factor': float32(1e-30) } }, 'malformed', /a factor of/],
    [
      'two sets of RoPE divisors',
      {
        tensors: (all) => [...all, { name: 'rope_freqs.weight', shape: [8] }, { name: 'rope_factors_short.weight', shape: [8] }],
        metadata: { 'llama.rope.scaling.original_context_length': uint32(32) },
      },
      'unsupported',
      /no single set of RoPE divisors/,
    ],
    [
      'long divisors alone',
      { tensors: (all) => [...all, { name: 'rope_factors_long.weight', shape: [8] }] },
      'unsupported',
      /no single set of RoPE divisors/,
    ],
    [
      'fused projections where the architecture has none',
      { tensors: (all) => [...all, { name: 'blk.0.attn_qkv.weight', shape: [32, 64] }] },
      'unsupported',
      /blk\.0\.attn_qkv\.weight.*plain llama/,
    ],
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
      { tensors: replace('blk.0.ffn_up.weight', { typeId: 9, byteLength: 64 * 36 }) },
      'unsupported',
      /ffn_up\.weight in Q8_1; supported types are F32, F16, BF16, Q4_0, .* MXFP4/,
    ],
  ]
  it.each(refused)('refuses %s by name', async (_, change, reason, message) => {
    await expect(reading(change)).rejects.toMatchObject({ reason, message: expect.stringMatching(message) })
  })

  it('accepts keys with the values that change nothing', async () => {
    const metadata = {
      'llama.rope.scaling.type': string('none'),
      'llama.rope.scaling.factor': float32(8),
      'llama.expert_count': uint32(0),
      'llama.attention.sliding_window': uint32(0),
      'llama.attention.clamp_kqv': float32(0),
      'split.count': uint32(1),
    }
    expect((await reading({ metadata })).config).toMatchObject({ ropePositionScale: 1, slidingWindow: null, experts: null })
  })

  it('takes linear scaling, also by its old name and without a type', async () => {
    const scaled = async (metadata: Record<string, WrittenValue>) => (await reading({ metadata })).config.ropePositionScale
    expect(await scaled({ 'llama.rope.scaling.type': string('linear'), 'llama.rope.scaling.factor': float32(8) })).toBe(1 / 8)
    expect(await scaled({ 'llama.rope.scaling.factor': float32(4) })).toBe(1 / 4)
    expect(await scaled({ 'llama.rope.scale_linear': float32(2) })).toBe(1 / 2)
  })

  it('takes a window in every layer, and none that is as long as the context', async () => {
    const windowed = async (size: number) => (await reading({ metadata: { 'llama.attention.sliding_window': uint32(size) } })).config
    expect(layerTraits(await windowed(63), 0).window).toBe(63)
    expect(layerTraits(await windowed(64), 0).window).toBeNull()
  })
})

describe('readModel, by architecture', () => {
  const changed = async (name: string, change: Parameters<typeof changedTiny>[1]) =>
    readModel(await open(writeGguf(await changedTiny(name, change))))
  const configOf = async (name: string, metadata: Record<string, WrittenValue | null>) => (await changed(name, { metadata })).config
  const windows = (config: Parameters<typeof layerTraits>[0]) =>
    Array.from({ length: config.layerCount }, (_, layer) => layerTraits(config, layer).window)

  it('gemma2: every other layer has the window; caps and window have defaults, 0 is none', async () => {
    const config = await configOf('gemma2', {})
    expect(config).toMatchObject({ slidingWindow: 32, attentionSoftCap: 50, logitSoftCap: 30, windowRopeBase: null })
    expect(windows(config)).toEqual([32, null])
    const old = {
      'gemma2.attention.sliding_window': null,
      'gemma2.attn_logit_softcapping': null,
      'gemma2.final_logit_softcapping': null,
      'gemma2.context_length': uint32(8192),
    }
    expect(await configOf('gemma2', old)).toMatchObject({ slidingWindow: 4096, attentionSoftCap: 50, logitSoftCap: 30 })
    expect(await configOf('gemma2', { 'gemma2.final_logit_softcapping': float32(0) })).toMatchObject({ logitSoftCap: null })
  })

  it('gemma3: every sixth layer sees all, by its own base and scale; others by the base of windows', async () => {
    const linear = { 'gemma3.rope.scaling.type': string('linear'), 'gemma3.rope.scaling.factor': float32(8) }
    const config = await configOf('gemma3', { ...linear, 'gemma3.rope.freq_base_swa': null })
    expect(config).toMatchObject({ attentionSoftCap: null, logitSoftCap: null })
    expect(windows(config)).toEqual([32, 32, 32, 32, 32, null, 32])
    expect(layerTraits(config, 0).rope).toEqual({ base: 10_000, positionScale: 1, divisors: false })
    expect(layerTraits(config, 5).rope).toEqual({ base: 1_000_000, positionScale: 1 / 8, divisors: true })
    const without = await configOf('gemma3', { ...linear, 'gemma3.attention.sliding_window': null })
    expect(layerTraits(without, 0)).toEqual({ window: null, rope: { base: 1_000_000, positionScale: 1 / 8, divisors: true } })
  })

  it('the 27-billion models of Gemma scale by width / heads, known by their layers', async () => {
    const grow = (all: TinyTensor[]) => {
      const layers = Array.from({ length: 46 }, (_, layer) =>
        all
          .filter(({ name }) => name.startsWith('blk.0.'))
          .map((tensor) => ({ ...tensor, name: tensor.name.replace('blk.0.', `blk.${layer}.`) })),
      )
      return [...all.filter(({ name }) => !name.startsWith('blk.')), ...layers.flat()]
    }
    const metadata = { 'gemma2.block_count': uint32(46), 'gemma2.attention.head_count': uint32(4) }
    expect((await changed('gemma2', { metadata, tensors: grow })).config.attentionScale).toBe(1 / Math.sqrt(128 / 4))
    const wide = { ...metadata, 'gemma2.embedding_length': uint32(256) }
    const widen = (all: TinyTensor[]) =>
      grow(all).map((tensor) => {
        const shape = tensor.name.includes('attn_output')
          ? [128, 256]
          : tensor.name.includes('ffn_down')
            ? [256, 256]
            : [256, ...tensor.shape.slice(1)]
        return { name: tensor.name, shape }
      })
    expect((await changed('gemma2', { metadata: wide, tensors: widen })).config.attentionScale).toBe(1 / Math.sqrt(256 / 4))
    expect((await configOf('gemma2', { 'gemma2.attention.scale': float32(0.5) })).attentionScale).toBe(0.5)
  })

  it('accepts a window pattern that says what the architecture means, as a period or for each layer', async () => {
    const pattern = (value: WrittenValue) => configOf('gemma2', { 'gemma2.attention.sliding_window_pattern': value })
    expect((await pattern(uint32(2))).slidingWindow).toBe(32)
    expect((await pattern({ type: 'ints', value: [1, 0] })).slidingWindow).toBe(32)
    const other = { reason: 'unsupported', message: expect.stringMatching(/pattern of sliding windows \(gemma2\.attention/) }
    for (const value of [uint32(3), uint32(0), { type: 'ints', value: [0, 1] }, { type: 'ints', value: [1] }] as const)
      await expect(pattern(value)).rejects.toMatchObject(other)
  })

  it('qwen3moe: experts with a width of their own, or their share of the dense one; used ones at most all', async () => {
    expect(await configOf('qwen3moe', {})).toMatchObject({ experts: { count: 8, used: 2 }, feedForwardWidth: 128 })
    expect(await configOf('qwen3moe', { 'qwen3moe.expert_feed_forward_length': null })).toMatchObject({ feedForwardWidth: 128 })
    await expect(configOf('qwen3moe', { 'qwen3moe.expert_used_count': uint32(9) })).rejects.toMatchObject({
      message: expect.stringContaining('9 used of 8 experts'),
    })
    for (const [key, value, message] of [
      ['expert_weights_norm', { type: 'bool', value: false }, /not normalized/],
      ['expert_gating_func', uint32(2), /another gate/],
      ['leading_dense_block_count', uint32(1), /dense layers/],
      ['expert_group_count', uint32(4), /groups of experts/],
    ] as const)
      await expect(configOf('qwen3moe', { [`qwen3moe.${key}`]: value })).rejects.toMatchObject({ message: expect.stringMatching(message) })
  })

  it('phi3: LongRoPE within the original context, by the short divisors and the magnitude; half-rotated heads', async () => {
    const metadata = {
      'phi3.context_length': uint32(131_072),
      'phi3.rope.scaling.attn_factor': float32(1.25),
      'phi3.rope.dimension_count': uint32(24),
      'phi3.attention.sliding_window': uint32(262_144),
    }
    const divisors = ['short', 'long'].map((name) => ({ name: `rope_factors_${name}.weight`, shape: [12] }))
    const { config } = await changed('phi3', { metadata, tensors: (all) => [...all, ...divisors] })
    expect(config).toMatchObject({
      contextLength: 4096,
      ropeMagnitude: 1.25,
      ropeDimensions: 24,
      ropePositionScale: 1,
      slidingWindow: null,
    })
    const untold = { ...metadata, 'phi3.rope.scaling.original_context_length': null }
    await expect(changed('phi3', { metadata: untold, tensors: (all) => [...all, ...divisors] })).rejects.toMatchObject({
      message: expect.stringContaining('no phi3.rope.scaling.original_context_length'),
    })
  })

  it('refuses heads of another size within the window, and projections whose shape does not fit the heads', async () => {
    await expect(configOf('gemma3', { 'gemma3.attention.key_length_swa': uint32(16) })).rejects.toMatchObject({
      message: expect.stringContaining('gemma3.attention.key_length_swa = 16, else 32'),
    })
    await expect(configOf('phi3', { 'phi3.attention.head_count_kv': uint32(4) })).rejects.toMatchObject({
      message: expect.stringMatching(/attn_qkv\.weight has the shape \[128, 256\].*\[128, 384\]/),
    })
  })
})
