/**
 * Cuts a text at its special tokens: the longest first, each over what the ones before have left. Without `parseSpecial`
 * only user-defined tokens are cut out; the text of control tokens stays text, so that no user can end a turn by writing
 * it. As llama.cpp's tokenizer_st_partition.
 */

import { textToBinary } from './binary.ts'
import { Kind, type Vocabulary } from './vocabulary.ts'

/** Text as one character a byte, or the id of a special token. */
export type Fragment = string | number

interface SpecialToken {
  readonly id: number
  readonly binary: string
  readonly kind: number
}

export class SpecialTokens {
  readonly #all: readonly SpecialToken[]
  readonly #userDefined: readonly SpecialToken[]

  constructor(vocabulary: Vocabulary) {
    const all: SpecialToken[] = []
    for (const [id, text] of vocabulary.texts.entries()) {
      const kind = vocabulary.kinds[id] ?? 0
      if ((kind & (Kind.CONTROL | Kind.USER_DEFINED | Kind.UNKNOWN)) !== 0) all.push({ id, binary: textToBinary(text), kind })
    }
    this.#all = all.sort((a, b) => b.binary.length - a.binary.length || a.id - b.id)
    this.#userDefined = this.#all.filter(({ kind }) => (kind & (Kind.CONTROL | Kind.UNKNOWN)) === 0)
  }

  /** @param binary the whole text, one character a byte; empty text has no fragments. */
  partition(binary: string, parseSpecial: boolean): Fragment[] {
    let fragments: Fragment[] = binary === '' ? [] : [binary]
    for (const token of parseSpecial ? this.#all : this.#userDefined) {
      if (fragments.some((fragment) => typeof fragment === 'string' && fragment.includes(token.binary)))
        fragments = fragments.flatMap((fragment) => (typeof fragment === 'string' ? cut(fragment, token) : [fragment]))
    }
    return fragments
  }
}

function cut(text: string, token: SpecialToken): Fragment[] {
  const fragments: Fragment[] = []
  let start = 0
  for (;;) {
    const match = text.indexOf(token.binary, start)
    if (match < 0) break
    let end = match
    if (token.kind & Kind.STRIP_LEFT) while (end > start && isSpace(text.charCodeAt(end - 1))) end--
    if (end > start) fragments.push(text.slice(start, end))
    fragments.push(token.id)
    start = match + token.binary.length
    if (token.kind & Kind.STRIP_RIGHT) while (start < text.length && isSpace(text.charCodeAt(start))) start++
  }
  if (start < text.length) fragments.push(text.slice(start))
  return fragments
}

/** C's isspace in the default locale. */
function isSpace(byte: number): boolean {
  return byte === 0x20 || (byte >= 0x09 && byte <= 0x0d)
}
