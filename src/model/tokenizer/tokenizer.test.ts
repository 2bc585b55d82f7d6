import { describe, expect, it } from 'vitest'
import { memoryFile, testData, type WrittenValue, writeGguf } from '../../../test/support/gguf.ts'
import { Metadata } from '../gguf/metadata.ts'
import { readGguf } from '../gguf/readGguf.ts'
import { createTokenizer, type Tokenizer } from './tokenizer.ts'

const never = new AbortController().signal
const made = new Map<string, Promise<Tokenizer>>()

/** The tokenizer of test/data/tokenizer/NAME.gguf.gz, made once. */
function load(name: string): Promise<Tokenizer> {
  const known = made.get(name)
  if (known !== undefined) return known
  const tokenizer = readGguf(memoryFile(testData(`tokenizer/${name}.gguf.gz`)), never).then(({ metadata }) => createTokenizer(metadata))
  made.set(name, tokenizer)
  return tokenizer
}

const text = (path: string) => new TextDecoder('utf-8', { ignoreBOM: true }).decode(testData(path))
const names = ['smollm2', 'gpt-2', 'llama-bpe', 'qwen2', 'llama-spm', 'phi-3'] as const
const byteLevel = ['smollm2', 'gpt-2', 'llama-bpe', 'qwen2'] as const

interface Golden {
  readonly texts: readonly string[]
  readonly vocabularies: Record<string, { readonly plain: readonly number[][]; readonly special: readonly number[][] }>
}

describe.each(names)('the tokenizer of %s', (name) => {
  it('gives the ids of llama.cpp for its own test texts', async () => {
    const tokenizer = await load(name)
    const texts = text('tokenizer/texts.inp').split('\n__ggml_vocab_test__\n')
    const expected = text(`tokenizer/${name}.out`).split('\n')
    expect(texts.length).toBe(expected.length)
    for (const [index, line] of expected.entries()) expect(tokenizer.encode(texts[index] ?? '').join(' '), texts[index]).toBe(line.trim())
  })

  it('gives the ids of llama.cpp for random Unicode, with special tokens parsed and not', async () => {
    const tokenizer = await load(name)
    const golden: Golden = JSON.parse(text('tokenizer/random.json.gz'))
    const { plain = [], special = [] } = golden.vocabularies[name] ?? {}
    expect(plain.length).toBe(golden.texts.length)
    for (const [index, sample] of golden.texts.entries()) {
      expect(tokenizer.encode(sample), JSON.stringify(sample)).toEqual(plain[index])
      expect(tokenizer.encode(sample, { parseSpecial: true }), JSON.stringify(sample)).toEqual(special[index])
    }
  })

  it('gives no ids for no text, never BOS or EOS of its own, and the same for text and its bytes', async () => {
    const tokenizer = await load(name)
    expect(tokenizer.encode('')).toEqual([])
    expect(tokenizer.encode(new Uint8Array(0))).toEqual([])
    const sample = 'Où est 東京 😀?\r\n\tok'
    const ids = tokenizer.encode(sample)
    expect(tokenizer.encode(new TextEncoder().encode(sample))).toEqual(ids)
    expect(ids).not.toContain(tokenizer.bosId)
  })

  it('takes time in proportion to the text, also for one word without end', async () => {
    const tokenizer = await load(name)
    // A quadratic merge of 200,000 letters would be beyond the test's time by far.
    expect(tokenizer.encode('ab'.repeat(100_000)).length).toBeGreaterThan(1_000)
    expect(tokenizer.encode(' '.repeat(100_000)).length).toBeGreaterThan(100)
  })

  it('gives nothing for ids that are none', async () => {
    const tokenizer = await load(name)
    expect(tokenizer.tokenBytes(tokenizer.vocabularySize)).toEqual(new Uint8Array(0))
    expect(tokenizer.tokenBytes(-1)).toEqual(new Uint8Array(0))
    expect(tokenizer.isEnd(-1)).toBe(false)
  })
})

describe.each(byteLevel)('byte-level BPE of %s', (name) => {
  const decode = (tokenizer: Tokenizer, ids: readonly number[]) => Buffer.concat(ids.map((id) => tokenizer.tokenBytes(id)))

  it('reads a lone surrogate and each byte that is not UTF-8 as U+FFFD, as llama.cpp does', async () => {
    const tokenizer = await load(name)
    const replaced = tokenizer.encode('a\ufffdb')
    expect(tokenizer.encode('a\ud800b')).toEqual(replaced)
    expect(tokenizer.encode(Uint8Array.of(0x61, 0xff, 0x62))).toEqual(replaced)
    expect(tokenizer.encode(Uint8Array.of(0x61, 0xe2, 0x82, 0x62))).toEqual(tokenizer.encode('a\ufffd\ufffdb'))
    expect(tokenizer.encode(Uint8Array.of(0x61, 0xf7, 0xbf, 0xbf, 0xbf))).toEqual(tokenizer.encode('a\ufffd\ufffd\ufffd\ufffd'))
    expect(decode(tokenizer, tokenizer.encode(Uint8Array.of(0xe2, 0x82))).toString()).toBe('\ufffd\ufffd')
  })
})

// Not of SmolLM2, whose vocabulary has no token for some bytes (of Chinese Extension B, for one): llama.cpp loses them too.
it.each(['gpt-2', 'llama-bpe', 'qwen2'])('%s gives back every byte', async (name) => {
  const tokenizer = await load(name)
  const golden: Golden = JSON.parse(text('tokenizer/random.json.gz'))
  for (const sample of [...golden.texts, '\0 \u0001']) {
    const bytes = tokenizer.encode(sample).map((id) => tokenizer.tokenBytes(id))
    expect(Buffer.concat(bytes).toString()).toBe(sample)
  }
})

describe('special tokens', () => {
  it('stay text unless they are asked for', async () => {
    const tokenizer = await load('smollm2')
    const sample = 'a<|im_end|>'
    expect(tokenizer.encode(sample, { parseSpecial: true })).toEqual([81, 2])
    const ids = tokenizer.encode(sample)
    expect(ids).not.toContain(2)
    expect(Buffer.concat(ids.map((id) => tokenizer.tokenBytes(id))).toString()).toBe(sample)
  })

  it('say what ends an answer, as the reference has it', async () => {
    const tokenizer = await load('smollm2')
    const { endTokenIds } = JSON.parse(text('reference/smollm2-135m-instruct.json'))
    expect(tokenizer.endIds).toEqual(endTokenIds)
    expect([tokenizer.isEnd(2), tokenizer.isEnd(3)]).toEqual([true, false])
  })

  it('are shown only when asked', async () => {
    const tokenizer = await load('smollm2')
    expect(tokenizer.tokenBytes(2)).toEqual(new Uint8Array(0))
    expect(Buffer.from(tokenizer.tokenBytes(2, { special: true })).toString()).toBe('<|im_end|>')
  })

  it('tell what the metadata wants before and after a prompt', async () => {
    expect(await load('smollm2')).toMatchObject({ bosId: 1, eosId: 2, addBos: false, addEos: false })
    expect(await load('llama-bpe')).toMatchObject({ bosId: 128_000, addBos: true })
    expect(await load('llama-spm')).toMatchObject({ bosId: 1, eosId: 2, addBos: true, addEos: false })
  })

  it('swallow the white space beside them where the model does', async () => {
    const tokenizer = await load('phi-3')
    const parse = (sample: string) => tokenizer.encode(sample, { parseSpecial: true })
    expect(parse('<|end|> \n<|end|>x')).toEqual(parse('<|end|><|end|>x'))
  })
})

describe('SentencePiece', () => {
  it('spreads bytes that are no token over byte tokens and puts them together again', async () => {
    const tokenizer = await load('llama-spm')
    const ids = tokenizer.encode('x🜘')
    const bytes = Buffer.concat(ids.map((id) => tokenizer.tokenBytes(id)))
    expect(bytes.toString()).toBe(' x🜘')
    expect(ids.length).toBeGreaterThan(4)
    expect(Array.from(tokenizer.tokenBytes(3 + 0xff))).toEqual([0xff])
  })

  const tokens = ['<unk>', '<s>', '</s>', '▁', 'a', 'b', 'ab', '▁ab', '<0x63>']
  const small = (changed: Record<string, WrittenValue> = {}) =>
    tokenizerOf({
      'tokenizer.ggml.model': { type: 'string', value: 'llama' },
      'tokenizer.ggml.tokens': { type: 'strings', value: tokens },
      'tokenizer.ggml.scores': { type: 'floats', value: [0, 0, 0, -1, -2, -3, -1, -0.5, 0] },
      'tokenizer.ggml.token_type': { type: 'ints', value: [2, 3, 3, 1, 1, 1, 1, 1, 6] },
      ...changed,
    })

  it('begins with a space unless the metadata says not to', async () => {
    expect((await small()).encode('ab')).toEqual([7])
    expect((await small({ 'tokenizer.ggml.add_space_prefix': { type: 'bool', value: false } })).encode('ab')).toEqual([6])
  })

  it('puts the space again behind a special token only', async () => {
    expect((await small()).encode('ab</s>ab', { parseSpecial: true })).toEqual([7, 2, 7])
  })

  it('falls back to a byte token, and without one to a single unknown token for the run', async () => {
    const tokenizer = await small({ 'tokenizer.ggml.add_space_prefix': { type: 'bool', value: false } })
    expect(tokenizer.encode('acb')).toEqual([4, 8, 5])
    expect(tokenizer.encode('axyzb')).toEqual([4, 0, 5])
  })
})

async function tokenizerOf(metadata: Record<string, WrittenValue>): Promise<Tokenizer> {
  return createTokenizer((await readGguf(memoryFile(writeGguf({ metadata: Object.entries(metadata) })), never)).metadata)
}

describe('createTokenizer', () => {
  const strings = (value: string[]): WrittenValue => ({ type: 'strings', value })
  const base: Record<string, WrittenValue> = {
    'tokenizer.ggml.model': { type: 'string', value: 'gpt2' },
    'tokenizer.ggml.pre': { type: 'string', value: 'gpt-2' },
    'tokenizer.ggml.tokens': strings(['a', 'b', 'ab', '<x>']),
    'tokenizer.ggml.merges': strings(['a b']),
  }

  it('works from the least metadata', async () => {
    const tokenizer = await tokenizerOf(base)
    expect(tokenizer.encode('abba')).toEqual([2, 1, 0])
    expect(tokenizer).toMatchObject({ bosId: null, eosId: null, addBos: false, endIds: [], vocabularySize: 4 })
  })

  it('cuts out user-defined tokens in every text', async () => {
    const tokenizer = await tokenizerOf({ ...base, 'tokenizer.ggml.token_type': { type: 'ints', value: [1, 1, 1, 4] } })
    expect(tokenizer.encode('ab<x>a')).toEqual([2, 3, 0])
  })

  const refused: [string, Record<string, WrittenValue | null>, string, RegExp][] = [
    [
      'another kind',
      { 'tokenizer.ggml.model': { type: 'string', value: 'bert' } },
      'unsupported',
      /"bert" is not supported; supported: gpt2/,
    ],
    ['no tokenizer', { 'tokenizer.ggml.model': null }, 'unsupported', /no tokenizer/],
    [
      'another pre-tokenizer',
      { 'tokenizer.ggml.pre': { type: 'string', value: 'viking' } },
      'unsupported',
      /"viking" is not supported; supported: gpt-2/,
    ],
    ['no pre-tokenizer', { 'tokenizer.ggml.pre': null }, 'unsupported', /names no pre-tokenizer/],
    ['no vocabulary', { 'tokenizer.ggml.tokens': null }, 'unsupported', /no vocabulary/],
    ['no merges', { 'tokenizer.ggml.merges': null }, 'malformed', /no merges/],
    [
      'merges that are no strings',
      { 'tokenizer.ggml.merges': { type: 'ints', value: [1] } },
      'malformed',
      /merges is not an array of strings/,
    ],
    ['too few kinds', { 'tokenizer.ggml.token_type': { type: 'ints', value: [1] } }, 'malformed', /token_type has 1 entries for 4 tokens/],
  ]
  it.each(refused)('refuses %s by name', async (_, change, reason, message) => {
    const metadata = Object.fromEntries(
      Object.entries({ ...base, ...change }).flatMap(([key, value]) => (value === null ? [] : [[key, value]])),
    )
    await expect(tokenizerOf(metadata)).rejects.toMatchObject({ reason, message: expect.stringMatching(message) })
  })

  it('refuses an empty file plainly', () => {
    expect(() => createTokenizer(new Metadata(new Map()))).toThrow(/no tokenizer/)
  })
})
