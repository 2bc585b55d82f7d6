/** Grammars as texts: whole numbers of any range, and what a schema may not ask for. What they match: driver/grammars.test.ts. */

import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { answerGrammar } from './index.ts'
import { INTEGER_MAX, integerRange } from './numberRange.ts'

const jsonGrammar = (schema: unknown) => answerGrammar({ content: { schema, path: '' }, calls: [], isParallel: true })

/** The same in a regular expression's words. */
function matches(grammar: string, text: string): boolean {
  return new RegExp(`^(?:${grammar.replace(/[" ]/g, '')})$`).test(text)
}

describe('a range of whole numbers', () => {
  it('has those from its least to its most, and no other', () => {
    const bound = fc.oneof(
      fc.integer({ min: -30, max: 30 }),
      fc.integer({ min: -120_000, max: 120_000 }),
      fc.integer({ min: -INTEGER_MAX, max: INTEGER_MAX }),
    )
    fc.assert(
      fc.property(
        bound,
        bound,
        fc.array(fc.oneof(bound, fc.integer({ min: -2, max: 2 })), { minLength: 4, maxLength: 12 }),
        (one, other, numbers) => {
          const [least, most] = [Math.min(one, other), Math.max(one, other)]
          const grammar = integerRange(least, most)
          const near = numbers.flatMap((number) => [number, least + (number % 3), most + (number % 3), Math.round((least + most) / 2)])
          for (const number of near.filter((value) => Math.abs(value) <= INTEGER_MAX))
            expect(matches(grammar, String(number)), `${number} in ${least} … ${most}: ${grammar}`).toBe(number >= least && number <= most)
          for (const text of ['', '-', '-0', '00', '01', '1.0']) expect(matches(grammar, text), text).toBe(false)
        },
      ),
      { numRuns: 300 },
    )
  })
})

describe('a schema', () => {
  const object = (value: unknown) => ({ type: 'object', properties: { size: value } })

  it.each<[string, unknown, RegExp]>([
    ['.not', { not: { type: 'string' } }, /not cannot be enforced/],
    ['.properties.size.multipleOf', object({ type: 'integer', multipleOf: 3 }), /multipleOf/],
    ['.properties.size.pattern', object({ type: 'string', pattern: '^a' }), /pattern/],
    ['.properties.size.format', object({ type: 'string', format: 'color' }), /those that can: date, /],
    ['.properties.size.type', object({ type: 'strng' }), /there is no type "strng"/],
    ['.properties.size.minLength', object({ type: 'integer', minLength: 2 }), /says nothing of a value of type integer/],
    ['.properties.size', object({ type: 'integer', minimum: 4, maximum: 3 }), /no whole number/],
    ['.properties.size.minItems', object({ type: 'array', minItems: 2_000 }), /at most 1024/],
    ['.properties.size.maxLength', object({ type: 'string', minLength: 3, maxLength: 2 }), /below/],
    ['.properties.size', object('string'), /a schema is an object/],
    ['.properties', { properties: [] }, /an object of schemas/],
    ['.required', { type: 'object', required: ['a'], additionalProperties: false }, /required and not allowed/],
    ['.allOf', { allOf: [{ type: 'object' }, { type: 'object' }] }, /join them to one/],
    ['.oneOf', { oneOf: [{ type: 'object' }, { type: 'object' }] }, /or use anyOf/],
    ['.properties', { anyOf: [{ type: 'object' }], properties: {} }, /beside anyOf/],
    ['.$ref', { $ref: 'https://example.org/schema' }, /of the same schema/],
    ['.$ref', { $ref: '#/$defs/item' }, /nothing at/],
    ['.$defs.a.$ref', { $ref: '#/$defs/a', $defs: { a: { $ref: '#/$defs/a' } } }, /leads to itself/],
    ['.enum', { enum: [] }, /one at least/],
    ['', { type: 'string', const: 3 }, /has the type/],
    ['', 7, /a schema is an object/],
  ])('is refused at %s: %j', (path, schema, message) => {
    expect(() => jsonGrammar(schema)).toThrow(
      expect.objectContaining({ reason: 'bad-schema', path, message: expect.stringMatching(message) }),
    )
  })

  it('is refused where it is too deep, too large, or a tool has it, by the tool', () => {
    let deep: object = { type: 'string' }
    for (let level = 0; level < 40; level++) deep = { type: 'array', items: { anyOf: [deep] } }
    expect(() => jsonGrammar(deep)).toThrow(/levels deep/)
    const properties = Object.fromEntries(Array.from({ length: 2_001 }, (_, index) => [`p${index}`, { type: 'string' }]))
    expect(() => jsonGrammar({ properties })).toThrow(/more than 2000 parts/)
    const tools = [{ name: 'f', parameters: { not: {} }, path: 'tools.0.function.parameters' }]
    expect(() => answerGrammar({ calls: tools, isParallel: true })).toThrow(
      expect.objectContaining({ path: 'tools.0.function.parameters.not' }),
    )
  })

  it('may say oneOf where no value fits two of its parts', () => {
    const kind = (value: string) => ({ type: 'object', properties: { kind: { const: value } }, required: ['kind'] })
    const accepted = [
      [{ type: 'string' }, { type: 'integer' }],
      [kind('a'), kind('b')],
      [{ const: 1 }, { enum: [2, 3] }],
    ]
    for (const oneOf of accepted) expect(() => jsonGrammar({ oneOf })).not.toThrow()
    expect(() => jsonGrammar({ oneOf: [kind('a'), kind('a')] })).toThrow(/oneOf/)
    expect(() => jsonGrammar({ oneOf: [{ type: 'number' }, { type: 'integer' }] })).toThrow(/oneOf/)
  })
})
