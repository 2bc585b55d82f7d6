/**
 * SentencePiece's BPE as Llama uses it: a text begins as its characters, and the neighbours whose union is the token of
 * highest score are merged until none is left. What is no token falls back to byte tokens, or to the unknown token.
 * `remove_extra_whitespaces` has no effect on this model in llama.cpp, the reference, so neither here.
 */

import { textToBinary } from './binary.ts'
import { Heap } from './heap.ts'
import type { Vocabulary } from './vocabulary.ts'

/** U+2581, which stands for a space in the tokens, as UTF-8 bytes. */
const SPACE_MARK = '\u00e2\u0096\u0081'

interface Candidate {
  readonly score: number
  readonly left: number
  readonly right: number
  /** Where the right part ended when this was pushed: if it moved, the candidate is stale. */
  readonly end: number
}

/** Highest score first, leftmost among equals. */
const before = (a: Candidate, b: Candidate) => a.score > b.score || (a.score === b.score && a.left < b.left)

export class SentencePieceEncoder {
  readonly #vocabulary: Vocabulary
  /** By the bytes of the token's text, one character a byte. */
  readonly #ids = new Map<string, number>()
  readonly #byteIds: readonly (number | null)[]
  readonly #tokenBytesMax: number

  constructor(vocabulary: Vocabulary) {
    this.#vocabulary = vocabulary
    let longest = 0
    for (const [text, id] of vocabulary.idsByText) {
      const binary = textToBinary(text)
      this.#ids.set(binary, id)
      longest = Math.max(longest, binary.length)
    }
    this.#tokenBytesMax = longest
    this.#byteIds = Array.from({ length: 256 }, (_, byte) => {
      const name = `<0x${byte.toString(16).toUpperCase().padStart(2, '0')}>`
      return this.#ids.get(name) ?? this.#ids.get(String.fromCharCode(byte)) ?? null
    })
  }

  /** @param binary text without special tokens, one character a byte. */
  encode(binary: string, spacePrefix: boolean, ids: number[]): void {
    const text = `${spacePrefix ? ' ' : ''}${binary}`.replaceAll(' ', SPACE_MARK)
    let lastUnknown = false
    for (const piece of this.#pieces(text)) {
      const id = this.#ids.get(piece)
      if (id !== undefined) {
        ids.push(id)
        lastUnknown = false
      } else lastUnknown = this.#fallBack(piece, lastUnknown, ids)
    }
  }

  #pieces(text: string): string[] {
    const starts: number[] = []
    for (let at = 0; at < text.length; at += characterBytes(text.charCodeAt(at))) starts.push(at)
    const count = starts.length
    const ends = starts.map((_, index) => starts[index + 1] ?? text.length)
    const next = Int32Array.from({ length: count }, (_, index) => index + 1)
    const previous = Int32Array.from({ length: count }, (_, index) => index - 1)
    const merged = new Uint8Array(count)
    const heap = new Heap<Candidate>(before)
    const consider = (left: number, right: number) => {
      if (left < 0 || right >= count) return
      const start = starts[left] ?? 0
      const end = ends[right] ?? 0
      const id = end - start > this.#tokenBytesMax ? undefined : this.#ids.get(text.slice(start, end))
      if (id !== undefined) heap.push({ score: this.#vocabulary.scores[id] ?? 0, left, right, end })
    }
    for (let index = 1; index < count; index++) consider(index - 1, index)
    for (let best = heap.pop(); best !== undefined; best = heap.pop()) {
      const { left, right } = best
      if (merged[left] || merged[right] || next[left] !== right || ends[right] !== best.end) continue
      ends[left] = best.end
      merged[right] = 1
      const after = next[right] ?? count
      next[left] = after
      if (after < count) previous[after] = left
      consider(previous[left] ?? -1, left)
      consider(left, after)
    }
    const pieces: string[] = []
    for (let index = 0; index < count; index = next[index] ?? count) pieces.push(text.slice(starts[index], ends[index]))
    return pieces
  }

  /** Byte by byte; without byte tokens a run of unknown characters is one unknown token. Returns whether it ended with that. */
  #fallBack(piece: string, afterUnknown: boolean, ids: number[]): boolean {
    const { unknownId } = this.#vocabulary
    let lastUnknown = afterUnknown
    for (let at = 0; at < piece.length; at++) {
      const id = this.#byteIds[piece.charCodeAt(at)] ?? null
      if (id !== null) ids.push(id)
      else if (!lastUnknown && unknownId !== null) ids.push(unknownId)
      lastUnknown = id === null
    }
    return lastUnknown
  }
}

/** How long the character is that begins with this byte, by its high bits alone. */
function characterBytes(byte: number): number {
  return byte < 0xc0 ? 1 : byte < 0xe0 ? 2 : byte < 0xf0 ? 3 : 4
}
