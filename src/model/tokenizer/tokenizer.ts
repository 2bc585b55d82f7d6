/**
 * Tokenizer: text to ids and back, from a model file's own metadata; works on vocabulary-only files. Ids equal llama.cpp's
 * for the supported tokenizers. It never adds BOS or EOS by itself: it tells what the model wants (`addBos`, `addEos`).
 */

import { utf8Encode } from '../../shared/index.ts'
import { ModelError } from '../errors.ts'
import type { Metadata } from '../gguf/metadata.ts'
import { bytesToBinary, textToBinary } from './binary.ts'
import { BytePairEncoder, decodeAlphabet } from './bytePairs.ts'
import { SentencePieceEncoder } from './sentencePiece.ts'
import { SpecialTokens } from './specialTokens.ts'
import { Kind, readVocabulary, type Vocabulary } from './vocabulary.ts'

export interface EncodeOptions {
  readonly parseSpecial?: boolean
  readonly limit?: number
}

export interface Tokenizer {
  /**
   * Ids of a text, or of bytes read as they are. With `parseSpecial` the text of control tokens becomes their one id; a
   * prompt made by a template wants that, a user's own words don't. Empty text gives no ids. Of a text with more than `limit` ids it
   * may give the first alone, and gives more than `limit`.
   */
  encode(text: string | Uint8Array, options?: EncodeOptions): number[]
  /** Bytes of the token that stands for most: no text has fewer tokens than its length divided by it, but for runs that a vocabulary drops or has no word for. */
  longestTokenBytes(): number
  /** The bytes a token stands for; a character may be spread over several tokens. Control tokens give none unless `special`. */
  tokenBytes(id: number, options?: { readonly special?: boolean }): Uint8Array
  /** Whether the token ends an answer: EOS, end of turn and the like. */
  isEnd(id: number): boolean
  readonly endIds: readonly number[]
  readonly bosId: number | null
  readonly eosId: number | null
  /** Whether the model wants its BOS before a prompt, or EOS behind. False where it has none. */
  readonly addBos: boolean
  readonly addEos: boolean
  readonly vocabularySize: number
  /** A token's text as the file has it (`<|im_end|>`, `Ġthe`); for templates and for people, not for output. */
  tokenText(id: number): string
}

const BYTE_PAIR_MODEL = 'gpt2'
const SENTENCE_PIECE_MODEL = 'llama'

/** Throws `unsupported` for a tokenizer of another kind, by its name; `malformed` where the metadata contradicts itself. */
export function createTokenizer(metadata: Metadata): Tokenizer {
  const model = metadata.string('tokenizer.ggml.model')
  switch (model) {
    case BYTE_PAIR_MODEL:
      return bytePairTokenizer(metadata)
    case SENTENCE_PIECE_MODEL:
      return sentencePieceTokenizer(metadata)
    case undefined:
      throw new ModelError('unsupported', 'the file has no tokenizer (tokenizer.ggml.model); choose a model file that brings its own')
    default:
      throw new ModelError(
        'unsupported',
        `the tokenizer ${JSON.stringify(model.slice(0, 80))} is not supported; supported: ${BYTE_PAIR_MODEL} (byte-level BPE), ${SENTENCE_PIECE_MODEL} (SentencePiece)`,
      )
  }
}

function bytePairTokenizer(metadata: Metadata): Tokenizer {
  const vocabulary = readVocabulary(metadata, { bosId: null, eosId: null, unknownId: null })
  const encoder = new BytePairEncoder(metadata, vocabulary)
  const special = new SpecialTokens(vocabulary)
  return {
    ...common(metadata, vocabulary, encoder.preTokenizer.addBos),
    encode(text, options) {
      const ids: number[] = []
      const limit = options?.limit ?? Number.POSITIVE_INFINITY
      for (const fragment of special.partition(binaryOf(text), options?.parseSpecial ?? false)) {
        if (typeof fragment === 'number') ids.push(fragment)
        else encoder.encode(fragment, ids, limit)
        if (ids.length > limit) break
      }
      return ids
    },
    ...bytesOfTokens(vocabulary, (text) => Uint8Array.from(decodeAlphabet(text, (character) => utf8Encode(character)))),
  }
}

function sentencePieceTokenizer(metadata: Metadata): Tokenizer {
  const vocabulary = readVocabulary(metadata, { bosId: 1, eosId: 2, unknownId: 0 })
  const encoder = new SentencePieceEncoder(vocabulary)
  const special = new SpecialTokens(vocabulary)
  const spacePrefix = metadata.boolean('tokenizer.ggml.add_space_prefix') ?? true
  return {
    ...common(metadata, vocabulary, true),
    encode(text, options) {
      const ids: number[] = []
      let afterSpecial = true
      for (const fragment of special.partition(binaryOf(text), options?.parseSpecial ?? false)) {
        if (typeof fragment === 'number') ids.push(fragment)
        else encoder.encode(fragment, spacePrefix && afterSpecial, ids)
        afterSpecial = typeof fragment === 'number'
      }
      return ids
    },
    ...bytesOfTokens(vocabulary, (text) => utf8Encode(text.replaceAll('\u2581', ' '))),
  }
}

function bytesOfTokens(vocabulary: Vocabulary, decode: (text: string) => Uint8Array): Pick<Tokenizer, 'tokenBytes' | 'longestTokenBytes'> {
  let longest: number | null = null
  return {
    tokenBytes: (id, options) => tokenBytes(vocabulary, id, options?.special ?? false, decode),
    longestTokenBytes() {
      longest ??= vocabulary.texts.reduce((most, _, id) => Math.max(most, tokenBytes(vocabulary, id, true, decode).byteLength), 1)
      return longest
    },
  }
}

function common(
  metadata: Metadata,
  vocabulary: Vocabulary,
  addBosDefault: boolean,
): Omit<Tokenizer, 'encode' | 'tokenBytes' | 'longestTokenBytes'> {
  const { bosId, eosId, endIds } = vocabulary
  return {
    isEnd: (id) => endIds.has(id),
    endIds: [...endIds].sort((a, b) => a - b),
    bosId,
    eosId,
    addBos: bosId !== null && (metadata.boolean('tokenizer.ggml.add_bos_token') ?? addBosDefault),
    addEos: eosId !== null && (metadata.boolean('tokenizer.ggml.add_eos_token') ?? false),
    vocabularySize: vocabulary.texts.length,
    tokenText: (id) => vocabulary.texts[id] ?? '',
  }
}

function binaryOf(text: string | Uint8Array): string {
  return typeof text === 'string' ? textToBinary(text) : bytesToBinary(text)
}

/** As llama.cpp's token_to_piece: unused and undefined tokens stand for nothing, also ids beyond the vocabulary. */
function tokenBytes(vocabulary: Vocabulary, id: number, special: boolean, decode: (text: string) => Uint8Array): Uint8Array {
  const kind = vocabulary.kinds[id] ?? 0
  const text = vocabulary.texts[id] ?? ''
  if (kind & (Kind.CONTROL | Kind.UNKNOWN)) return special ? utf8Encode(text) : new Uint8Array(0)
  if (kind & Kind.USER_DEFINED) return utf8Encode(text)
  if (kind & Kind.NORMAL) return decode(text)
  if (kind & Kind.BYTE) {
    const byte = /^<0x([0-9A-Fa-f]{2})>$/.exec(text)?.[1]
    if (byte !== undefined) return Uint8Array.of(Number.parseInt(byte, 16))
  }
  return new Uint8Array(0)
}
