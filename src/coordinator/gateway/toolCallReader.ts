/**
 * ToolCallReader: finds the calls of tools in an answer's text as it comes, and tells them piece by piece: `<tool_call>{"name": …, "arguments": {…}}</tool_call>`, as
 * many models write it and grammars here have it, or an answer that is one such object alone, as Llama writes it. What is none of that, or calls what there is
 * not, is content.
 */

import type { CallableTools } from './tools.ts'

export type ReadPart =
  | { readonly kind: 'text'; readonly text: string }
  /** One more call; its arguments come behind it. */
  | { readonly kind: 'call'; readonly index: number; readonly name: string }
  | { readonly kind: 'arguments'; readonly index: number; readonly text: string }

const OPEN = '<tool_call>'
const CLOSE = '</tool_call>'
/** A call whose name comes first, up to its arguments. */
const HEAD = /^\s*\{\s*"name"\s*:\s*"((?:[^"\\]|\\.)*)"\s*,\s*"(?:arguments|parameters)"\s*:\s*(?=\{)/

type Mode =
  /** Nothing but white space has come. */
  | 'start'
  | 'text'
  /** An object from the beginning on: what it is shows at its end. */
  | 'object'
  | 'call'
  | 'arguments'
  /** Behind the arguments, before the call's end. */
  | 'closing'
  /** Behind a call: white space says nothing. */
  | 'between'
  /** Further calls are not asked for. */
  | 'ignored'

export class ToolCallReader {
  readonly #tools: CallableTools
  #mode: Mode = 'start'
  #buffer = ''
  #calls = 0
  #depth = new JsonDepth()

  constructor(tools: CallableTools) {
    this.#tools = tools
  }

  get calls(): number {
    return this.#calls
  }

  push(text: string): ReadPart[] {
    this.#buffer += text
    const parts: ReadPart[] = []
    while (this.#step(parts)) {}
    return parts
  }

  /** Nothing follows: what was held back. */
  end(): ReadPart[] {
    const parts: ReadPart[] = []
    const rest = this.#buffer
    this.#buffer = ''
    switch (this.#mode) {
      case 'object':
        if (!this.#readWhole(rest, parts)) parts.push({ kind: 'text', text: rest })
        break
      case 'call':
        if (!this.#readWhole(rest, parts)) parts.push({ kind: 'text', text: OPEN + rest })
        break
      case 'start':
      case 'text':
      case 'between':
        if (rest.trim() !== '' || this.#mode === 'text') parts.push({ kind: 'text', text: rest })
        break
      case 'arguments':
      case 'closing':
      case 'ignored':
        break
    }
    return parts.filter((part) => part.kind !== 'text' || part.text !== '')
  }

  /** Goes on by one step; false where more has to come. */
  #step(parts: ReadPart[]): boolean {
    switch (this.#mode) {
      case 'start':
      case 'between':
        return this.#begin()
      case 'text':
        return this.#readText(parts)
      case 'call':
        return this.#readCall(parts)
      case 'arguments':
        return this.#readArguments(parts)
      case 'closing':
        return this.#close()
      case 'object':
      case 'ignored':
        return false
    }
  }

  #begin(): boolean {
    const rest = this.#buffer.trimStart()
    if (rest === '' || (OPEN.startsWith(rest) && rest.length < OPEN.length)) return false
    if (rest.startsWith(OPEN)) {
      this.#buffer = rest.slice(OPEN.length)
      this.#mode = 'call'
    } else this.#mode = this.#mode === 'start' && rest.startsWith('{') ? 'object' : 'text'
    return true
  }

  #readText(parts: ReadPart[]): boolean {
    const at = this.#buffer.indexOf(OPEN)
    const end = at >= 0 ? at : this.#buffer.length - heldBack(this.#buffer)
    if (end > 0) parts.push({ kind: 'text', text: this.#buffer.slice(0, end) })
    this.#buffer = this.#buffer.slice(at >= 0 ? end + OPEN.length : end)
    if (at >= 0) this.#mode = 'call'
    return at >= 0
  }

  #readCall(parts: ReadPart[]): boolean {
    const head = HEAD.exec(this.#buffer)
    const name = head === null ? null : nameOf(head[1] ?? '')
    if (head !== null && name !== null && this.#tools.names.includes(name)) {
      parts.push({ kind: 'call', index: this.#calls++, name })
      this.#buffer = this.#buffer.slice(head[0].length)
      this.#depth = new JsonDepth()
      this.#mode = 'arguments'
      return true
    }
    const end = this.#buffer.indexOf(CLOSE)
    if (end < 0) return false
    const body = this.#buffer.slice(0, end)
    if (!this.#readWhole(body, parts)) parts.push({ kind: 'text', text: `${OPEN}${body}${CLOSE}` })
    this.#buffer = this.#buffer.slice(end + CLOSE.length)
    this.#mode = this.#afterCall
    return true
  }

  #readArguments(parts: ReadPart[]): boolean {
    const length = this.#depth.push(this.#buffer)
    if (length > 0) parts.push({ kind: 'arguments', index: this.#calls - 1, text: this.#buffer.slice(0, length) })
    this.#buffer = this.#buffer.slice(length)
    if (this.#depth.isOpen) return false
    this.#mode = 'closing'
    return true
  }

  #close(): boolean {
    const end = this.#buffer.indexOf(CLOSE)
    if (end < 0) return false
    this.#buffer = this.#buffer.slice(end + CLOSE.length)
    this.#mode = this.#afterCall
    return true
  }

  get #afterCall(): Mode {
    return this.#calls > 0 && !this.#tools.isParallel ? 'ignored' : 'between'
  }

  /** A call by its whole JSON, whatever comes first in it; false where it is none. */
  #readWhole(json: string, parts: ReadPart[]): boolean {
    let value: unknown
    try {
      value = JSON.parse(json)
    } catch {
      return false
    }
    if (typeof value !== 'object' || value === null) return false
    const { name, arguments: given, parameters = given } = value as Readonly<Record<string, unknown>>
    if (typeof name !== 'string' || !this.#tools.names.includes(name)) return false
    if (typeof parameters !== 'object' || parameters === null || Array.isArray(parameters)) return false
    const index = this.#calls++
    parts.push({ kind: 'call', index, name }, { kind: 'arguments', index, text: JSON.stringify(parameters) })
    return true
  }
}

/** How many of the last characters may begin a call. */
function heldBack(text: string): number {
  for (let length = Math.min(text.length, OPEN.length - 1); length > 0; length--) if (OPEN.startsWith(text.slice(-length))) return length
  return 0
}

function nameOf(escaped: string): string | null {
  try {
    return JSON.parse(`"${escaped}"`)
  } catch {
    return null
  }
}

/** Where an object ends, in parts of its JSON. */
class JsonDepth {
  #depth = 0
  #begun = false
  #inString = false
  #isEscaped = false

  get isOpen(): boolean {
    return !this.#begun || this.#depth > 0
  }

  /** How many of the characters belong to it. */
  push(text: string): number {
    for (let at = 0; at < text.length; at++) {
      if (!this.isOpen) return at
      const character = text.charAt(at)
      if (this.#inString) {
        if (this.#isEscaped) this.#isEscaped = false
        else if (character === '\\') this.#isEscaped = true
        else if (character === '"') this.#inString = false
        continue
      }
      if (character === '"') this.#inString = true
      if (character === '{' || character === '[') this.#depth++
      if (character === '}' || character === ']') this.#depth--
      this.#begun = true
    }
    return text.length
  }
}
