/**
 * Byte-level BPE: words are cut by the pre-tokenizer, each begins as its bytes, and the pair of lowest rank is merged until
 * none is left. Tokens are written in GPT-2's alphabet, where each byte has a visible character of its own.
 */

import { ModelError } from '../errors.ts'
import type { Metadata } from '../gguf/metadata.ts'
import { decodeCodePoints, encodeCodePoints } from './codePoints.ts'
import { Heap } from './heap.ts'
import { type PreTokenizer, preTokenizerByName } from './preTokenizers.ts'
import type { Vocabulary } from './vocabulary.ts'

/** The character that stands for each byte: printable ones for themselves, the others from U+0100 on. */
const characterOfByte: readonly string[] = (() => {
  let next = 0x100
  return Array.from({ length: 256 }, (_, byte) => {
    const printable = (byte >= 0x21 && byte <= 0x7e) || (byte >= 0xa1 && byte <= 0xac) || byte >= 0xae
    return String.fromCharCode(printable ? byte : next++)
  })
})()

const byteOfCharacter = new Map(characterOfByte.map((character, byte) => [character, byte]))

/** The bytes that a token's text stands for; a character outside of the alphabet stands for itself, as `otherwise` gives it. */
export function decodeAlphabet(text: string, otherwise: (character: string) => Iterable<number>): number[] {
  const bytes: number[] = []
  for (const character of text) {
    const byte = byteOfCharacter.get(character)
    if (byte === undefined) bytes.push(...otherwise(character))
    else bytes.push(byte)
  }
  return bytes
}

interface Pair {
  readonly rank: number
  readonly left: number
  readonly leftSymbol: number
  readonly right: number
  readonly rightSymbol: number
}

/** Lowest rank first, leftmost among equals. */
const before = (a: Pair, b: Pair) => a.rank < b.rank || (a.rank === b.rank && a.left < b.left)

/** Merges are numbers inside: every text that can occur has a symbol, which need not be a token. */
export class BytePairEncoder {
  readonly preTokenizer: PreTokenizer
  readonly #vocabulary: Vocabulary
  readonly #symbolOfText = new Map<string, number>()
  readonly #textOfSymbol: string[] = []
  readonly #symbolOfByte: readonly number[]
  /** Rank of left·2^26 + right; a rank is an index into #results. */
  readonly #ranks = new Map<number, number>()
  readonly #results: number[] = []

  constructor(metadata: Metadata, vocabulary: Vocabulary) {
    this.preTokenizer = preTokenizerByName(metadata.string('tokenizer.ggml.pre'))
    this.#vocabulary = vocabulary
    this.#symbolOfByte = characterOfByte.map((character) => this.#symbol(character))
    const merges = metadata.strings('tokenizer.ggml.merges')
    if (merges === undefined)
      throw new ModelError('malformed', 'the file has no merges (tokenizer.ggml.merges) for its BPE tokenizer; get a complete file')
    for (const merge of merges) {
      const space = merge.indexOf(' ', 1)
      if (space > 0) this.#addMerge(merge.slice(0, space), merge.slice(space + 1))
    }
  }

  /** @param binary text without special tokens, one character a byte. Stops where `ids` has more than `limit`. */
  encode(binary: string, ids: number[], limit: number): void {
    const text = decodeCodePoints(binary)
    let start = 0
    for (const end of this.preTokenizer.split(text)) {
      const bytes: number[] = []
      encodeCodePoints(text.values, start, end, (byte) => bytes.push(byte))
      this.#encodeWord(bytes, ids)
      if (ids.length > limit) return
      start = end
    }
  }

  #symbol(text: string): number {
    const known = this.#symbolOfText.get(text)
    if (known !== undefined) return known
    const symbol = this.#textOfSymbol.push(text) - 1
    this.#symbolOfText.set(text, symbol)
    return symbol
  }

  #addMerge(left: string, right: string): void {
    const key = pairKey(this.#symbol(left), this.#symbol(right))
    if (this.#ranks.has(key)) return
    this.#ranks.set(key, this.#results.length)
    this.#results.push(this.#symbol(left + right))
  }

  #encodeWord(bytes: readonly number[], ids: number[]): void {
    if (this.preTokenizer.wholeWords) {
      const whole = this.#vocabulary.idsByText.get(bytes.map((byte) => characterOfByte[byte]).join(''))
      if (whole !== undefined) {
        ids.push(whole)
        return
      }
    }
    for (const symbol of this.#merge(bytes.map((byte) => this.#symbolOfByte[byte] ?? 0))) this.#append(symbol, ids)
  }

  /** Merges in place: `symbols[i]` is −1 where a symbol was taken up by its left neighbour. */
  #merge(symbols: number[]): number[] {
    const count = symbols.length
    const next = Int32Array.from({ length: count }, (_, index) => index + 1)
    const previous = Int32Array.from({ length: count }, (_, index) => index - 1)
    const heap = new Heap<Pair>(before)
    const consider = (left: number, right: number) => {
      if (left < 0 || right >= count) return
      const leftSymbol = symbols[left] ?? -1
      const rightSymbol = symbols[right] ?? -1
      const rank = this.#ranks.get(pairKey(leftSymbol, rightSymbol))
      if (rank !== undefined) heap.push({ rank, left, leftSymbol, right, rightSymbol })
    }
    for (let index = 1; index < count; index++) consider(index - 1, index)
    for (let pair = heap.pop(); pair !== undefined; pair = heap.pop()) {
      const { left, right } = pair
      if (symbols[left] !== pair.leftSymbol || symbols[right] !== pair.rightSymbol) continue
      symbols[left] = this.#results[pair.rank] ?? -1
      symbols[right] = -1
      const after = next[right] ?? count
      next[left] = after
      if (after < count) previous[after] = left
      consider(previous[left] ?? -1, left)
      consider(left, after)
    }
    return symbols.filter((symbol) => symbol >= 0)
  }

  /** A symbol that is no token falls apart; as in llama.cpp only its ASCII characters can be tokens then, the others are lost. */
  #append(symbol: number, ids: number[]): void {
    const text = this.#textOfSymbol[symbol] ?? ''
    const id = this.#vocabulary.idsByText.get(text)
    if (id !== undefined) {
      ids.push(id)
      return
    }
    for (const character of text) {
      const part = character < '\u0080' ? this.#vocabulary.idsByText.get(character) : undefined
      if (part !== undefined) ids.push(part)
    }
  }
}

/** Symbols stay far below 2^26 (tokens and merges are bounded), so that a pair is one exact number. */
function pairKey(left: number, right: number): number {
  return left * 2 ** 26 + right
}
