/** Grammars over a real library and its thread: whatever is drawn of what they allow is JSON that satisfies its schema. */

import { Ajv2020 } from 'ajv/dist/2020.js'
import fc from 'fast-check'
import { afterAll, describe, expect, it } from 'vitest'
import { answerGrammar } from '../grammar/index.ts'
import type { Tokenizer } from '../model/index.ts'
import { ManualClock, utf8Encode } from '../shared/index.ts'
import { Grammars } from './grammars.ts'

/** What JSON is made of, words, and parts of characters that make no malformed UTF-8 whichever follow each other; a control token. */
const words = [
  '{"',
  '":',
  '": ',
  ', "',
  '"}',
  '},',
  ' "',
  '\n  ',
  'true',
  'null',
  '12',
  '0.',
  'ab',
  'name',
  'été',
  '[]',
  '<tool_call>',
  '\\"',
  '"',
  '{',
  '}',
]
const bytes = [
  ...[...Array.from({ length: 128 }, (_, byte) => byte), 0xc3, 0xa9].map((byte) => Uint8Array.of(byte)),
  ...words.map((word) => utf8Encode(word)),
  Uint8Array.of(0x20, 0xf0, 0x9f),
  new Uint8Array(0),
  new Uint8Array(0),
]
const END = bytes.length - 1
const tokenizer = {
  vocabularySize: bytes.length,
  endIds: [END],
  isEnd: (id: number) => id === END,
  tokenBytes: (id: number) => bytes[id] ?? new Uint8Array(0),
} as unknown as Tokenizer

const grammars = new Grammars(new ManualClock())
afterAll(() => grammars.end())

/** A walk through what is allowed: mostly any token, and the shortest way out after `length` of them. */
async function walk(grammar: string, random: () => number, length = 60): Promise<string> {
  const session = await grammars.open('test', tokenizer, grammar)
  const parts: number[] = []
  try {
    for (let step = 0; step < 3_000; step++) {
      const words = await session.allowed()
      const ids = Array.from({ length: bytes.length }, (_, id) => id).filter((id) => (((words[id >> 5] ?? 0) >>> (id & 31)) & 1) === 1)
      expect(ids.length, `nothing may follow ${JSON.stringify(textOf(parts))}`).toBeGreaterThan(0)
      expect(ids).not.toContain(END - 1)
      const closing = step < length ? [] : ids.filter((id) => id === END || /^["}\]0-9nle\\]/.test(lossy.decode(bytes[id])))
      const among = closing.includes(END) ? [END] : closing.length > 0 && random() < 0.8 ? closing : ids
      const id = among[Math.floor(random() * among.length)] ?? END
      if (id === END) return textOf(parts)
      session.take(id)
      parts.push(id)
    }
  } finally {
    session.close()
  }
  throw new Error(`no end: ${textOf(parts).slice(0, 300)}`)
}

/** Bytes that are no character come as U+FFFD, as an answer's text has them. */
const jsonGrammar = (schema: unknown = { type: 'object' }) => answerGrammar({ content: { schema, path: '' }, calls: [], isParallel: true })
const lossy = new TextDecoder()

function textOf(ids: readonly number[]): string {
  const all = ids.flatMap((id) => [...(bytes[id] ?? [])])
  return lossy.decode(Uint8Array.from(all))
}

function randomOf(seed: number): () => number {
  let state = seed | 0
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let word = Math.imul(state ^ (state >>> 15), 1 | state)
    word = (word + Math.imul(word ^ (word >>> 7), 61 | word)) ^ word
    return ((word ^ (word >>> 14)) >>> 0) / 2 ** 32
  }
}

const name = fc.constantFrom('a', 'b', 'née', 'q"\\\n', 'long name', '')
const number = fc.integer({ min: -1_200, max: 1_200 })
const { schema } = fc.letrec<{ schema: object; leaf: object }>((tie) => ({
  leaf: fc.oneof(
    fc.constantFrom(
      { type: 'boolean' },
      { type: 'null' },
      { type: 'string' },
      { type: 'number' },
      { type: 'integer' },
      { type: ['string', 'null'] },
    ),
    fc
      .tuple(fc.constantFrom('integer', 'number'), number, fc.nat(3_000))
      .map(([type, minimum, span]) => ({ type, minimum, maximum: minimum + span })),
    fc.tuple(fc.constantFrom('integer', 'number'), number).map(([type, exclusiveMinimum]) => ({ type, exclusiveMinimum })),
    number.map((exclusiveMaximum) => ({ type: 'number', exclusiveMaximum })),
    fc.tuple(fc.nat(4), fc.nat(4)).map(([minLength, more]) => ({ type: 'string', minLength, maxLength: minLength + more })),
    fc
      .uniqueArray(fc.oneof(number, name, fc.constant(null), fc.constant({ x: [1] })), { minLength: 1, maxLength: 4 })
      .map((values) => ({ enum: values })),
    fc.constantFrom('date', 'time', 'date-time', 'email', 'hostname', 'ipv4', 'uuid').map((format) => ({ type: 'string', format })),
    fc.constant({ $ref: '#/$defs/tree' }),
  ),
  schema: fc.oneof(
    { depthSize: 'small', withCrossShrink: true },
    tie('leaf'),
    fc.record({
      type: fc.constant('object'),
      properties: fc.dictionary(name, tie('schema'), { maxKeys: 4 }),
      required: fc.uniqueArray(name, { maxLength: 2 }),
      additionalProperties: fc.constant(true),
    }),
    fc.record({ type: fc.constant('object'), additionalProperties: tie('schema') }),
    fc
      .record({ items: tie('schema'), minItems: fc.nat(3), more: fc.nat(3), prefixItems: fc.array(tie('leaf'), { maxLength: 2 }) })
      .map(({ more, minItems, prefixItems, items }) => ({
        ...{ type: 'array', items, minItems, maxItems: Math.max(minItems, prefixItems.length) + more },
        ...(prefixItems.length > 0 && { prefixItems }),
      })),
    fc.array(tie('schema'), { minLength: 1, maxLength: 3 }).map((anyOf) => ({ anyOf })),
  ),
}))
const tree = {
  type: 'object',
  properties: { left: { anyOf: [{ $ref: '#/$defs/tree' }, { type: 'null' }] }, value: { type: 'boolean' } },
  required: ['value'],
}

const FORMATS: Readonly<Record<string, RegExp>> = {
  date: /^\d{4}-\d\d-\d\d$/,
  time: /^\d\d:\d\d:\d\d(Z|[-+]\d\d:\d\d)$/,
  'date-time': /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(Z|[-+]\d\d:\d\d)$/,
  email: /^[^@\s]+@[^@\s]+\.[a-z]+$/,
  hostname: /^[a-z0-9.-]+$/,
  ipv4: /^(\d{1,3}\.){3}\d{1,3}$/,
  uuid: /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/,
}

describe('an answer that is held to a schema', () => {
  it('is JSON that satisfies it, whatever is drawn', async () => {
    const ajv = new Ajv2020({ strict: false, validateFormats: true, formats: FORMATS })
    await fc.assert(
      fc.asyncProperty(schema, fc.integer(), async (some, seed) => {
        const whole = { ...some, $defs: { tree } }
        const text = await walk(jsonGrammar(whole), randomOf(seed))
        const value: unknown = JSON.parse(text)
        expect(ajv.validate(whole, value), `${text} for ${JSON.stringify(whole)}: ${ajv.errorsText()}`).toBe(true)
      }),
      { numRuns: 150 },
    )
  }, 240_000)

  it('is a JSON object where no schema is given', async () => {
    for (let seed = 0; seed < 20; seed++) {
      const value: unknown = JSON.parse(await walk(jsonGrammar(), randomOf(seed)))
      expect(value !== null && typeof value === 'object' && !Array.isArray(value)).toBe(true)
    }
  })

  it('is calls of the tools that there are, with arguments that satisfy their schemas', async () => {
    const tools = [
      {
        name: 'weather',
        parameters: {
          type: 'object',
          properties: { city: { type: 'string' }, days: { type: 'integer', minimum: 1, maximum: 14 } },
          required: ['city'],
        },
        path: '',
      },
      { name: 'now', parameters: { type: 'object', additionalProperties: false }, path: '' },
    ]
    const counts = new Set<number>()
    for (let seed = 0; seed < 20; seed++) {
      const text = await walk(answerGrammar({ calls: tools, isParallel: true }), randomOf(seed), 60)
      const calls = text.split('</tool_call>\n').map((part) => JSON.parse(part.replace(/^<tool_call>|<\/tool_call>$/g, '')))
      for (const call of calls) {
        expect(['weather', 'now']).toContain(call.name)
        if (call.name === 'now') expect(call.arguments).toEqual({})
        else expect(typeof call.arguments.city).toBe('string')
      }
      counts.add(calls.length)
      expect(await walk(answerGrammar({ calls: tools, isParallel: false }), randomOf(seed), 20)).not.toContain('</tool_call>\n')
    }
    expect(counts.size).toBeGreaterThan(1)
  })

  it('fails by name where the grammar is none, and the next is matched all the same', async () => {
    await expect(grammars.open('test', tokenizer, 'root ::= (')).rejects.toMatchObject({ reason: 'bad-schema' })
    expect(await walk('root ::= "ab"', randomOf(1))).toBe('ab')
  })
})
