/**
 * Ebnf: a grammar under construction, in the notation of XGrammar, https://github.com/mlc-ai/xgrammar: named rules, of which `root` is where it begins. Rules of
 * JSON's own are there once they are used.
 */

import { assert } from '../shared/index.ts'
import { SchemaError } from './schemaError.ts'

/** Between two tokens of JSON: nothing, a space, or a line's indentation; bounded, since small models go on with spaces for ever. */
const SPACE = '" "? | "\\n" " "{0,24}'

/** Of numbers, so that they end: 15 digits are what a double holds. */
const JSON_RULES: Readonly<Record<string, string>> = {
  space: SPACE,
  // Control characters and \u are left out: what needs them has a shorter escape or stands for itself.
  char: '[^"\\\\\\x00-\\x1f\\x7f] | "\\\\" ["\\\\/bfnrt]',
  string: '"\\"" char* "\\""',
  integer: '"0" | "-"? [1-9] [0-9]{0,14}',
  number: 'integer | "-"? ("0" | [1-9] [0-9]{0,14}) "." [0-9]{1,15} | "-"? [1-9] ("." [0-9]{1,15})? [eE] [-+]? [1-9] [0-9]?',
  boolean: '"true" | "false"',
  null: '"null"',
  value: 'object | array | string | number | boolean | null',
  object: '"{" space (member ("," space member)*)? space "}"',
  member: 'string ":" space value',
  array: '"[" space (value ("," space value)*)? space "]"',
}

/** Of a grammar's text; what a schema makes of it is bounded by the schema's own size. */
const GRAMMAR_CHARACTERS_MAX = 1_000_000

export class Ebnf {
  readonly #rules = new Map<string, string>()
  #names = 0

  /** A rule of JSON's own: what may stand for it in other rules. */
  json(name: string): string {
    const body = JSON_RULES[name]
    assert(body !== undefined, `no rule of JSON is called ${name}`)
    if (this.#rules.has(name)) return name
    this.#rules.set(name, body)
    for (const [used] of body.matchAll(/\b[a-z]+\b/g)) if (used in JSON_RULES) this.json(used)
    return name
  }

  /** A name for a rule whose body is given later: rules may hold themselves. */
  reserve(): string {
    return `rule_${this.#names++}`
  }

  define(name: string, body: string): void {
    this.#rules.set(name, body)
  }

  /** A rule of its own for `body`. */
  rule(body: string): string {
    const name = this.reserve()
    this.define(name, body)
    return name
  }

  /** Throws a SchemaError where it is too large. */
  text(root: string): string {
    const lines = [['root', root] as const, ...this.#rules].map(([name, body]) => `${name} ::= ${body}`)
    const text = `${lines.join('\n')}\n`
    if (text.length > GRAMMAR_CHARACTERS_MAX) throw new SchemaError('', 'the schema makes too large a grammar; make it smaller')
    return text
  }
}

/** A text as it is. */
export function literal(text: string): string {
  let body = ''
  for (const character of text) {
    const code = character.codePointAt(0) ?? 0
    const isPlain = code >= 0x20 && code < 0x7f && character !== '"' && character !== '\\'
    body += isPlain ? character : `\\U${code.toString(16).padStart(8, '0')}`
  }
  return `"${body}"`
}
