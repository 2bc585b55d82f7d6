/**
 * SchemaWriter: JSON that satisfies a schema, as rules of an Ebnf. Each keyword is enforced, says nothing of what is valid, or is refused by its name: none is ignored. Where a
 * schema leaves more open than a grammar should, the grammar allows less: properties come in the schema's order, and none that it does not name beside those that
 * it does.
 */

import { type Ebnf, literal } from './ebnf.ts'
import { INTEGER_MAX, integerRange } from './numberRange.ts'
import { areDistinct } from './oneOf.ts'
import { SchemaError } from './schemaError.ts'
import { STRING_FORMATS } from './stringFormats.ts'

type Schema = Readonly<Record<string, unknown>>
type TypeName = 'object' | 'array' | 'string' | 'integer' | 'number' | 'boolean' | 'null'

/** They say nothing of what is valid. */
const ANNOTATIONS = [
  '$schema',
  '$id',
  '$comment',
  '$defs',
  'definitions',
  'title',
  'description',
  'default',
  'examples',
  'deprecated',
  'readOnly',
  'writeOnly',
]
/** What each type's rules know. */
const KEYWORDS: Readonly<Record<TypeName, readonly string[]>> = {
  object: ['properties', 'required', 'additionalProperties'],
  array: ['items', 'prefixItems', 'minItems', 'maxItems'],
  string: ['minLength', 'maxLength', 'format'],
  integer: ['minimum', 'maximum', 'exclusiveMinimum', 'exclusiveMaximum'],
  number: ['minimum', 'maximum', 'exclusiveMinimum', 'exclusiveMaximum'],
  boolean: [],
  null: [],
}
const TYPES = Object.keys(KEYWORDS) as TypeName[]
const COMBINERS = ['anyOf', 'oneOf', 'allOf', '$ref', 'enum', 'const']

/** Subschemas of a schema: each becomes a rule. */
const NODES_MAX = 2_000
const DEPTH_MAX = 64
/** Values of all enumerations of a schema, in characters. */
const LITERALS_CHARACTERS_MAX = 100_000
/** Items and characters that are counted: more are the same as no bound above, and refused below. */
const COUNTED_MAX = 1_024

export class SchemaWriter {
  readonly #ebnf: Ebnf
  readonly #schema: unknown
  /** By pointer: rules of subschemas that others refer to. */
  readonly #referred = new Map<string, string>()
  #nodes = 0
  #literals = 0

  constructor(ebnf: Ebnf, schema: unknown) {
    this.#ebnf = ebnf
    this.#schema = schema
  }

  /** The rule of the whole schema. Throws a SchemaError. */
  root(): string {
    return this.#refer('#', '', [])
  }

  /** A rule for a schema; `path` says where it is, `refs` which references lead to it and nothing else. */
  #write(schema: unknown, path: string, refs: readonly string[]): string {
    this.#nodes++
    if (this.#nodes > NODES_MAX) throw new SchemaError(path, `the schema has more than ${NODES_MAX} parts; make it smaller`)
    if (path.split('.').length > DEPTH_MAX) throw new SchemaError(path, `the schema is more than ${DEPTH_MAX} levels deep`)
    if (schema === true) return this.#ebnf.json('value')
    if (!isSchema(schema)) throw new SchemaError(path, 'a schema is an object')
    this.#checkKeywords(schema, path)
    if (schema.$ref !== undefined) return this.#referTo(schema, path, refs)
    if (schema.const !== undefined) return this.#values([schema.const], schema, path)
    if (schema.enum !== undefined) return this.#values(schema.enum, schema, path)
    for (const name of ['anyOf', 'oneOf', 'allOf'] as const) if (schema[name] !== undefined) return this.#combined(name, schema, path, refs)
    const types = typesOf(schema, path)
    if (types === null) return this.#ebnf.json('value')
    this.#checkTypes(schema, types, path)
    const rules = types.map((type) => this.#typed(type, schema, path))
    return rules.length === 1 ? (rules[0] ?? '') : this.#ebnf.rule(rules.join(' | '))
  }

  #checkKeywords(schema: Schema, path: string): void {
    const known = new Set([...ANNOTATIONS, ...COMBINERS, 'type', ...Object.values(KEYWORDS).flat()])
    for (const name of Object.keys(schema))
      if (!known.has(name)) throw new SchemaError(`${path}.${name}`, `${name} cannot be enforced here; leave it out`)
  }

  #checkTypes(schema: Schema, types: readonly TypeName[], path: string): void {
    const known = new Set([...ANNOTATIONS, 'type', ...types.flatMap((type) => KEYWORDS[type])])
    const other = Object.keys(schema).find((name) => !known.has(name))
    if (other !== undefined)
      throw new SchemaError(`${path}.${other}`, `${other} says nothing of a value of type ${types.join(' or ')}; leave it out`)
  }

  /** Beside a keyword that says it all only annotations may stand. */
  #checkAlone(schema: Schema, names: readonly string[], path: string): void {
    const other = Object.keys(schema).find((name) => !names.includes(name) && !ANNOTATIONS.includes(name))
    if (other !== undefined)
      throw new SchemaError(`${path}.${other}`, `${other} beside ${names[0]} cannot be enforced here; put it into the parts`)
  }

  #referTo(schema: Schema, path: string, refs: readonly string[]): string {
    this.#checkAlone(schema, ['$ref'], path)
    const { $ref } = schema
    if (typeof $ref !== 'string' || !/^#(\/|$)/.test($ref))
      throw new SchemaError(`${path}.$ref`, '$ref must lead to a part of the same schema, as in "#/$defs/item"')
    if (refs.includes($ref)) throw new SchemaError(`${path}.$ref`, `${$ref} leads to itself`)
    return this.#refer($ref, path, [...refs, $ref])
  }

  /** The rule of a part by its pointer: once, however many refer to it. */
  #refer(pointer: string, path: string, refs: readonly string[]): string {
    const known = this.#referred.get(pointer)
    if (known !== undefined) return known
    const name = this.#ebnf.reserve()
    // A chain of references alone is followed each time, so that one that leads to itself shows.
    const part = partAt(this.#schema, pointer)
    if (part === undefined) throw new SchemaError(`${path}.$ref`, `there is nothing at ${pointer}`)
    if (!(isSchema(part) && part.$ref !== undefined)) this.#referred.set(pointer, name)
    this.#ebnf.define(name, this.#write(part, pointer === '#' ? path : pointer.slice(1).replaceAll('/', '.'), refs))
    return name
  }

  #values(values: unknown, schema: Schema, path: string): string {
    this.#checkAlone(schema, ['enum', 'const', 'type'], path)
    if (!Array.isArray(values) || values.length === 0) throw new SchemaError(`${path}.enum`, 'enum is a list of values, one at least')
    const types = typesOf(schema, path)
    const fitting = values.filter((value) => types === null || types.some((type) => isOfType(value, type)))
    if (fitting.length === 0) throw new SchemaError(path, 'no value of enum or const has the type')
    const texts = fitting.map((value) => JSON.stringify(value))
    this.#literals += texts.reduce((sum, text) => sum + text.length, 0)
    if (this.#literals > LITERALS_CHARACTERS_MAX) throw new SchemaError(path, `values of more than ${LITERALS_CHARACTERS_MAX} characters`)
    return this.#ebnf.rule(texts.map(literal).join(' | '))
  }

  #combined(name: 'anyOf' | 'oneOf' | 'allOf', schema: Schema, path: string, refs: readonly string[]): string {
    this.#checkAlone(schema, [name, 'type'], path)
    const parts = schema[name]
    if (!Array.isArray(parts) || parts.length === 0) throw new SchemaError(`${path}.${name}`, `${name} is a list of schemas, one at least`)
    if (name === 'allOf' && parts.length > 1)
      throw new SchemaError(`${path}.allOf`, 'allOf of several schemas cannot be enforced here; join them to one')
    if (name === 'oneOf' && !areDistinct(parts.map((part) => this.#resolved(part))))
      throw new SchemaError(
        `${path}.oneOf`,
        'oneOf needs parts of which a value fits one alone: give them different types, or a property with a const each; or use anyOf',
      )
    const { type } = schema
    const rules = parts.map((part: unknown, index) => {
      const own = isSchema(part) && type !== undefined && part.type === undefined && part.$ref === undefined ? { type, ...part } : part
      return this.#write(own, `${path}.${name}.${index}`, refs)
    })
    return this.#ebnf.rule([...new Set(rules)].join(' | '))
  }

  /** What a reference leads to. */
  #resolved(part: unknown): unknown {
    let found = part
    for (let steps = 0; isSchema(found) && typeof found.$ref === 'string' && steps < DEPTH_MAX; steps++)
      found = partAt(this.#schema, found.$ref)
    return found
  }

  #typed(type: TypeName, schema: Schema, path: string): string {
    switch (type) {
      case 'object':
        return this.#object(schema, path)
      case 'array':
        return this.#array(schema, path)
      case 'string':
        return this.#string(schema, path)
      case 'integer':
      case 'number':
        return this.#number(type, schema, path)
      case 'boolean':
      case 'null':
        return this.#ebnf.json(type)
    }
  }

  #object(schema: Schema, path: string): string {
    const { properties = {}, required = [], additionalProperties = true } = schema
    if (!isSchema(properties)) throw new SchemaError(`${path}.properties`, 'properties is an object of schemas')
    if (!Array.isArray(required) || required.some((name) => typeof name !== 'string'))
      throw new SchemaError(`${path}.required`, 'required is a list of names')
    const all = new Map(Object.entries(properties))
    for (const name of required as string[]) {
      if (all.has(name)) continue
      if (additionalProperties === false) throw new SchemaError(`${path}.required`, `${JSON.stringify(name)} is required and not allowed`)
      all.set(name, additionalProperties)
    }
    const space = this.#ebnf.json('space')
    if (all.size === 0) {
      if (additionalProperties === false) return this.#ebnf.rule(`"{" ${space} "}"`)
      if (additionalProperties === true) return this.#ebnf.json('object')
      const member = this.#ebnf.rule(
        `${this.#ebnf.json('string')} ":" ${space} ${this.#write(additionalProperties, `${path}.additionalProperties`, [])}`,
      )
      return this.#ebnf.rule(`"{" ${space} (${member} ("," ${space} ${member})*)? ${space} "}"`)
    }
    const members = [...all].map(([name, part]) => {
      const value = this.#write(part, `${path}.properties.${name}`, [])
      return { rule: this.#ebnf.rule(`${literal(`${JSON.stringify(name)}:`)} ${space} ${value}`), isRequired: required.includes(name) }
    })
    return this.#ebnf.rule(`"{" ${space} ${this.#membersInOrder(members)} ${space} "}"`)
  }

  /** Members in their order, of which those that are not required may be missing. */
  #membersInOrder(members: readonly { readonly rule: string; readonly isRequired: boolean }[]): string {
    const comma = `"," ${this.#ebnf.json('space')}`
    // What may follow from here on where none has been written, and where one has.
    let [first, next] = ['""', '""']
    for (const { rule, isRequired } of [...members].reverse()) {
      const [alone, behind] = [`${rule} ${next}`, `${comma} ${rule} ${next}`]
      first = this.#ebnf.rule(isRequired ? alone : `${alone} | ${first}`)
      next = this.#ebnf.rule(isRequired ? behind : `${behind} | ${next}`)
    }
    return first
  }

  #array(schema: Schema, path: string): string {
    const { items = true, prefixItems = [] } = schema
    const space = this.#ebnf.json('space')
    const [least, most] = this.#counts(schema, ['minItems', 'maxItems'], path)
    if (!Array.isArray(prefixItems)) throw new SchemaError(`${path}.prefixItems`, 'prefixItems is a list of schemas')
    if (most !== null && most < prefixItems.length) throw new SchemaError(`${path}.maxItems`, 'maxItems is below the number of prefixItems')
    const prefix = prefixItems.map((part: unknown, index) => this.#write(part, `${path}.prefixItems.${index}`, []))
    const left = Math.max(0, least - prefix.length)
    if (items === false && left > 0) throw new SchemaError(`${path}.minItems`, 'minItems is above the number of prefixItems')
    const end = items === false ? 0 : most === null ? null : most - prefix.length
    const head = prefix.join(` "," ${space} `)
    if (end === 0) return this.#ebnf.rule(`"[" ${space} ${head === '' ? '""' : head} ${space} "]"`)
    const item = this.#write(items, `${path}.items`, [])
    const more = (from: number) => `("," ${space} ${item}){${from},${end === null ? '' : end - (prefix.length === 0 ? 1 : 0)}}`
    if (prefix.length > 0) return this.#ebnf.rule(`"[" ${space} ${head} ${more(left)} ${space} "]"`)
    const some = `${item} ${more(Math.max(0, left - 1))}`
    return this.#ebnf.rule(`"[" ${space} ${left === 0 ? `(${some})?` : some} ${space} "]"`)
  }

  #string(schema: Schema, path: string): string {
    const { format } = schema
    const [least, most] = this.#counts(schema, ['minLength', 'maxLength'], path)
    if (format === undefined) {
      if (least === 0 && most === null) return this.#ebnf.json('string')
      return this.#ebnf.rule(`"\\"" ${this.#ebnf.json('char')}{${least},${most ?? ''}} "\\""`)
    }
    const body = typeof format === 'string' ? STRING_FORMATS[format] : undefined
    if (body === undefined)
      throw new SchemaError(
        `${path}.format`,
        `the format ${JSON.stringify(format)} cannot be enforced here; those that can: ${Object.keys(STRING_FORMATS).join(', ')}`,
      )
    if (schema.minLength !== undefined || schema.maxLength !== undefined)
      throw new SchemaError(`${path}.format`, 'a format with a length cannot be enforced here')
    return this.#ebnf.rule(`"\\"" (${body}) "\\""`)
  }

  #number(type: 'integer' | 'number', schema: Schema, path: string): string {
    const bound = (name: string): number | null => {
      const value = schema[name]
      if (value === undefined) return null
      if (typeof value !== 'number' || !Number.isFinite(value)) throw new SchemaError(`${path}.${name}`, `${name} is a number`)
      return value
    }
    const [min, above, max, below] = [bound('minimum'), bound('exclusiveMinimum'), bound('maximum'), bound('exclusiveMaximum')]
    if (min === null && above === null && max === null && below === null) return this.#ebnf.json(type)
    const least = Math.max(-INTEGER_MAX, Math.ceil(min ?? -INTEGER_MAX), above === null ? -INTEGER_MAX : Math.floor(above) + 1)
    const most = Math.min(INTEGER_MAX, Math.floor(max ?? INTEGER_MAX), below === null ? INTEGER_MAX : Math.ceil(below) - 1)
    if (least > most) throw new SchemaError(path, 'there is no whole number of at most 15 digits between the bounds')
    const whole = this.#ebnf.rule(integerRange(least, most))
    if (type === 'integer') return whole
    // With a fraction a number lies between two whole ones that are allowed themselves.
    const parts = [whole]
    if (most > Math.max(0, least)) parts.push(`${this.#ebnf.rule(integerRange(Math.max(0, least), most - 1))} "." [0-9]{1,15}`)
    if (least < Math.min(0, most)) parts.push(`"-" ${this.#ebnf.rule(integerRange(Math.max(0, -most), -least - 1))} "." [0-9]{1,15}`)
    return this.#ebnf.rule(parts.join(' | '))
  }

  /** How many there may be, null: any number. */
  #counts(schema: Schema, [least, most]: readonly [string, string], path: string): readonly [number, number | null] {
    const read = (name: string): number | undefined => {
      const value = schema[name]
      if (value === undefined) return undefined
      if (typeof value !== 'number' || !Number.isInteger(value) || value < 0)
        throw new SchemaError(`${path}.${name}`, `${name} is a whole number, 0 or more`)
      return value
    }
    const from = read(least) ?? 0
    const to = read(most) ?? null
    if (from > COUNTED_MAX) throw new SchemaError(`${path}.${least}`, `${least} is at most ${COUNTED_MAX} here`)
    if (to !== null && to < from) throw new SchemaError(`${path}.${most}`, `${most} is below ${least}`)
    return [from, to === null ? null : Math.min(to, COUNTED_MAX)]
  }
}

function isSchema(value: unknown): value is Schema {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/** The types that a schema names or means; null: any. */
function typesOf(schema: Schema, path: string): readonly TypeName[] | null {
  const { type } = schema
  if (type === undefined) {
    const meant = TYPES.filter((name) => name !== 'integer' && KEYWORDS[name].some((keyword) => schema[keyword] !== undefined))
    return meant.length === 0 ? null : meant
  }
  const names: readonly unknown[] = Array.isArray(type) ? type : [type]
  const unknown = names.find((name) => !TYPES.includes(name as TypeName))
  if (names.length === 0 || unknown !== undefined)
    throw new SchemaError(`${path}.type`, `there is no type ${JSON.stringify(unknown ?? type)}; types are ${TYPES.join(', ')}`)
  return names as TypeName[]
}

function isOfType(value: unknown, type: TypeName): boolean {
  if (type === 'integer') return Number.isInteger(value)
  if (type === 'null') return value === null
  if (type === 'array') return Array.isArray(value)
  if (type === 'object') return isSchema(value)
  return typeof value === type
}

function partAt(schema: unknown, pointer: string): unknown {
  let part = schema
  for (const step of pointer.split('/').slice(1)) {
    const name = decodeURIComponent(step).replaceAll('~1', '/').replaceAll('~0', '~')
    if (typeof part !== 'object' || part === null || !Object.hasOwn(part, name)) return undefined
    part = (part as Readonly<Record<string, unknown>>)[name]
  }
  return part
}
