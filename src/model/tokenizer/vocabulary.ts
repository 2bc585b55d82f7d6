/**
 * The vocabulary out of a file's metadata: texts, kinds and scores of the tokens, and which of them begin, end or separate.
 * Follows llama.cpp's llama_vocab::impl::load, whose ids are the reference, in all that the supported tokenizers need.
 */

import { ModelError } from '../errors.ts'
import type { Metadata } from '../gguf/metadata.ts'

/** What a token is, as bits: a token that ends a turn is CONTROL besides whatever its file says. */
export const Kind = { NORMAL: 1, UNKNOWN: 2, CONTROL: 4, USER_DEFINED: 8, UNUSED: 16, BYTE: 32, STRIP_LEFT: 64, STRIP_RIGHT: 128 } as const

export interface Vocabulary {
  readonly texts: readonly string[]
  /** Bits of Kind, one byte a token. */
  readonly kinds: Uint8Array
  readonly scores: Float32Array
  readonly idsByText: ReadonlyMap<string, number>
  readonly bosId: number | null
  readonly eosId: number | null
  readonly unknownId: number | null
  readonly endIds: ReadonlySet<number>
}

/** Ids to use where the metadata names none; SentencePiece has such a convention. */
export interface DefaultIds {
  readonly bosId: number | null
  readonly eosId: number | null
  readonly unknownId: number | null
}

/** More than any vocabulary has. */
const TOKENS_MAX = 4_194_304

/** Texts that end an answer wherever they are a token, whatever the metadata says: llama.cpp's list. */
const endTexts = [
  '<|eot_id|>',
  '<|im_end|>',
  '<|end|>',
  '<|return|>',
  '<|call|>',
  '<|flush|>',
  '<|calls|>',
  '<end_of_turn>',
  '<|endoftext|>',
  '</s>',
  '<|eom_id|>',
  '<EOT>',
  '_<EOT>',
  '[EOT]',
  '[EOS]',
  '<|end_of_text|>',
  '<end_of_utterance>',
  '<eos>',
  '<turn|>',
  '<|tool_response>',
  '<｜end▁of▁sentence｜>',
  '[e~[',
]

/** Texts of tokens around a gap to fill: control tokens too. llama.cpp takes one of each row, the first that it finds. */
const fillTexts = [
  ['<|fim_prefix|>', '<fim-prefix>', '<fim_prefix>', '<｜fim▁begin｜>', '<PRE>', '▁<PRE>', '<|code_prefix|>', '<|prefix|>'],
  ['<|fim_suffix|>', '<fim-suffix>', '<fim_suffix>', '<｜fim▁hole｜>', '<SUF>', '▁<SUF>', '<|code_suffix|>', '<|suffix|>'],
  ['<|fim_middle|>', '<fim-middle>', '<fim_middle>', '<｜fim▁end｜>', '<MID>', '▁<MID>', '<|code_middle|>', '<|middle|>'],
  ['<|fim_pad|>', '<fim-pad>', '<fim_pad>', '<PAD>', '[PAD]'],
  ['<|fim_repo|>', '<|repo_name|>', '<fim-repo>', '<REPO>', '<reponame>'],
  ['<|file_sep|>'],
]

/** Always written out, as llama.cpp does. */
const shownTexts = ['<|channel|>', '<|message|>', '<|start|>', '<|constrain|>']

/** Throws a ModelError: `unsupported` without a vocabulary, `malformed` where its arrays contradict each other. */
export function readVocabulary(metadata: Metadata, defaults: DefaultIds): Vocabulary {
  const texts = readTexts(metadata)
  const idsByText = new Map<string, number>()
  for (const [id, text] of texts.entries()) if (!idsByText.has(text)) idsByText.set(text, id)
  const kinds = readKinds(metadata, texts.length)
  const id = (name: string, otherwise: number | null) => readId(metadata, name, otherwise, texts.length)

  const eosId = id('eos_token_id', defaults.eosId)
  const endIds = new Set<number>()
  for (const ending of [eosId, id('eot_token_id', null), id('eom_token_id', null)]) if (ending !== null) endIds.add(ending)
  for (const text of endTexts) {
    const ending = idsByText.get(text)
    if (ending === undefined) continue
    endIds.add(ending)
    mark(kinds, ending, Kind.CONTROL)
  }
  for (const group of fillTexts) {
    const found = group.map((text) => idsByText.get(text)).find((known) => known !== undefined)
    if (found !== undefined) mark(kinds, found, Kind.CONTROL)
  }
  for (const text of shownTexts) {
    const shown = idsByText.get(text)
    if (shown !== undefined) kinds[shown] = Kind.USER_DEFINED
  }
  keepOpen(idsByText, endIds, kinds)
  markStripping(metadata, texts, idsByText, kinds)
  return {
    texts,
    kinds,
    scores: readScores(metadata, texts.length),
    idsByText,
    bosId: id('bos_token_id', defaults.bosId),
    eosId,
    unknownId: id('unknown_token_id', defaults.unknownId),
    endIds,
  }
}

function readTexts(metadata: Metadata): string[] {
  const texts = metadata.strings('tokenizer.ggml.tokens')
  if (texts === undefined || texts.length === 0)
    throw new ModelError('unsupported', 'the file has no vocabulary (tokenizer.ggml.tokens); choose a model file that brings its tokenizer')
  if (texts.length > TOKENS_MAX)
    throw new ModelError('too-large', `the file has ${texts.length} tokens, more than the ${TOKENS_MAX} accepted`)
  return texts.map((text, id) => (text === '' ? `[EMPTY_${id}]` : text))
}

/** By the number that GGUF gives each kind of token. */
const kindsByNumber = [0, Kind.NORMAL, Kind.UNKNOWN, Kind.CONTROL, Kind.USER_DEFINED, Kind.UNUSED, Kind.BYTE]

function readKinds(metadata: Metadata, count: number): Uint8Array {
  const numbers = metadata.numbers('tokenizer.ggml.token_type')
  if (numbers === undefined) return new Uint8Array(count).fill(Kind.NORMAL)
  if (numbers.length < count) throw tooFew('tokenizer.ggml.token_type', numbers.length, count)
  return Uint8Array.from({ length: count }, (_, id) => kindsByNumber[numbers[id] ?? 0] ?? 0)
}

function readScores(metadata: Metadata, count: number): Float32Array {
  const scores = metadata.numbers('tokenizer.ggml.scores')
  if (scores === undefined) return new Float32Array(count)
  if (scores.length < count) throw tooFew('tokenizer.ggml.scores', scores.length, count)
  return Float32Array.from(scores)
}

function tooFew(key: string, length: number, count: number): ModelError {
  return new ModelError('malformed', `${key} has ${length} entries for ${count} tokens; get the file again`)
}

/** An id outside of the vocabulary counts as not given. */
function readId(metadata: Metadata, name: string, otherwise: number | null, count: number): number | null {
  const id = metadata.number(`tokenizer.ggml.${name}`) ?? otherwise
  return id !== null && Number.isInteger(id) && id >= 0 && id < count ? id : null
}

function mark(kinds: Uint8Array, id: number, bits: number): void {
  kinds[id] = (kinds[id] ?? 0) | bits
}

/** Vocabularies in which a text of the list above does not end the answer. */
function keepOpen(idsByText: ReadonlyMap<string, number>, endIds: Set<number>, kinds: Uint8Array): void {
  const has = (text: string) => idsByText.has(text)
  const reopen = (text: string, kind: number) => {
    const id = idsByText.get(text)
    if (id === undefined || !endIds.delete(id)) return
    kinds[id] = kind
  }
  const calls = has('<|call|>') || has('<|calls|>')
  if (calls && (has('<|return|>') || has('<|flush|>'))) reopen('<|end|>', Kind.USER_DEFINED)
  if (has('<|tool_response>')) reopen('</s>', Kind.NORMAL)
}

/** Files do not say which tokens swallow the white space beside them; llama.cpp goes by the model's name. */
function markStripping(metadata: Metadata, texts: readonly string[], idsByText: ReadonlyMap<string, number>, kinds: Uint8Array): void {
  const name = (metadata.string('general.name') ?? '').toLowerCase()
  const pre = metadata.string('tokenizer.ggml.pre') ?? ''
  if (/jina-v2-(de|es|code)/.test(pre)) {
    const mask = idsByText.get('<mask>')
    if (mask !== undefined) mark(kinds, mask, Kind.STRIP_LEFT)
  } else if (/phi-?3/.test(name)) {
    const exempt = new Set(['<unk>', '<s>', '<|endoftext|>'])
    for (const [id, text] of texts.entries()) {
      const special = ((kinds[id] ?? 0) & (Kind.CONTROL | Kind.USER_DEFINED | Kind.UNKNOWN)) !== 0
      if ((special || text === '</s>') && !exempt.has(text)) mark(kinds, id, Kind.STRIP_RIGHT)
    }
  }
}
