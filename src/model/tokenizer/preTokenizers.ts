/**
 * How a text is cut into words before byte pairs are merged inside each: the rules that `tokenizer.ggml.pre` names. They
 * are regular expressions in the models' own tokenizers; here they are scanners over code point classes, as in llama.cpp
 * (unicode.cpp), linear in time whatever the text.
 */

import { ModelError } from '../errors.ts'
import { Case, Class, type CodePoints, caseOf } from './codePoints.ts'

export interface PreTokenizer {
  /** Ends of the words, in code points, rising; the last is the text's length. */
  split(text: CodePoints): number[]
  /** A word that is a token as a whole is not merged from its bytes. */
  readonly wholeWords: boolean
  /** Where the metadata doesn't say. */
  readonly addBos: boolean
}

const gpt2: PreTokenizer = { split: (text) => words(text, [text.length], gpt2Word), wholeWords: false, addBos: false }
/** Each digit alone, then as gpt-2. */
const smollm: PreTokenizer = { split: (text) => words(text, isolatedNumbers(text), gpt2Word), wholeWords: false, addBos: false }
const llama3Split = (text: CodePoints) => words(text, [text.length], (segment, start, end) => llama3Word(segment, start, end, 3))
const llama3: PreTokenizer = { split: llama3Split, wholeWords: true, addBos: true }
/** llama-bpe's rules without its flags. */
const dbrx: PreTokenizer = { split: llama3Split, wholeWords: false, addBos: false }
/** As llama-bpe, but each digit alone. */
const qwen2: PreTokenizer = {
  split: (text) => words(text, [text.length], (segment, start, end) => llama3Word(segment, start, end, 1)),
  wholeWords: false,
  addBos: false,
}

/** Mistral's since Nemo: words are cut before a large letter, each digit is alone. */
const tekken: PreTokenizer = {
  split: (text) =>
    words(text, [text.length], (segment, start, end) => casedWord(segment, start, end, { numbersMax: 1, contractions: false })),
  wholeWords: true,
  addBos: true,
}
/** Also Phi-4-mini's. */
const gpt4o: PreTokenizer = {
  split: (text) =>
    words(text, [text.length], (segment, start, end) => casedWord(segment, start, end, { numbersMax: 3, contractions: true })),
  wholeWords: false,
  addBos: false,
}

const byName = new Map<string, PreTokenizer>([
  ...names(gpt2, 'gpt-2 phi-2 jina-es jina-de jina-v1-en jina-v2-es jina-v2-de jina-v2-code roberta-bpe gigachat a.x-4.0 mellum'),
  ...names(gpt2, 'modern-bert mpt olmo jais trillion granite-docling exaone4'),
  ...names(smollm, 'smollm starcoder refact command-r codeshell exaone minerva-7b mellum2'),
  ...names(llama3, 'llama-bpe llama3 llama-v3 falcon3 falcon-h1 pixtral midm-2.0 lfm2 jina-v5-nano'),
  ...names(dbrx, 'dbrx smaug-bpe'),
  ...names(tekken, 'tekken'),
  ...names(gpt4o, 'gpt-4o llama4 kanana2 talkie'),
  ...names(qwen2, 'qwen2 deepseek-r1-qwen kormo f2llmv2 megrez stablelm2 hunyuan solar-open'),
])

function names(preTokenizer: PreTokenizer, list: string): [string, PreTokenizer][] {
  return list.split(' ').map((name) => [name, preTokenizer])
}

/** Throws `unsupported`, with the list of what is supported. */
export function preTokenizerByName(name: string | undefined): PreTokenizer {
  const found = byName.get(name ?? '')
  if (found !== undefined) return found
  const what =
    name === undefined
      ? 'the file names no pre-tokenizer (tokenizer.ggml.pre)'
      : `the pre-tokenizer ${JSON.stringify(name.slice(0, 80))} is not supported`
  throw new ModelError('unsupported', `${what}; supported: ${[...byName.keys()].join(', ')}. Choose another file of the model`)
}

/** Where the word ends that begins at `start` of the segment [start, end). */
type Scanner = (text: CodePoints, start: number, end: number) => number

function words(text: CodePoints, segmentEnds: readonly number[], scan: Scanner): number[] {
  const ends: number[] = []
  let at = 0
  for (const end of segmentEnds) {
    while (at < end) {
      at = scan(text, at, end)
      ends.push(at)
    }
  }
  return ends
}

/** Ends of segments such that every number of \p{N} is one alone. */
function isolatedNumbers({ classes, length }: CodePoints): number[] {
  const ends: number[] = []
  for (let at = 0; at < length; at++)
    if (at + 1 === length || classes[at] === Class.NUMBER || classes[at + 1] === Class.NUMBER) ends.push(at + 1)
  return ends
}

const SPACE = 0x20
const CARRIAGE_RETURN = 0x0d
const LINE_FEED = 0x0a
const APOSTROPHE = 0x27
const SLASH = 0x2f
const LONG_S = 0x17f

/** 's|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+ */
function gpt2Word(text: CodePoints, start: number, end: number): number {
  const contracted = contraction(text, start, end, 'none')
  if (contracted > 0) return start + contracted
  const first = text.values[start] === SPACE && start + 1 < end ? start + 1 : start
  const kind = text.classes[first]
  if (kind !== Class.SPACE) return runEnd(text, first, end, kind)
  return spaces(text, start, end)
}

/**
 * (?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,numbersMax}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+
 */
function llama3Word(text: CodePoints, start: number, end: number, numbersMax: number): number {
  const { values, classes } = text
  const contracted = contraction(text, start, end, 'ascii')
  if (contracted > 0) return start + contracted
  const kind = classes[start]
  if (kind === Class.NUMBER) return runEnd(text, start, Math.min(end, start + numbersMax), Class.NUMBER)
  if (kind === Class.LETTER) return runEnd(text, start, end, Class.LETTER)
  if (!isLineEnd(values[start]) && start + 1 < end && classes[start + 1] === Class.LETTER) return runEnd(text, start + 1, end, Class.LETTER)
  return otherOrSpaces(text, start, end, isLineEnd)
}

/**
 * With P = [^\r\n\p{L}\p{N}], U = [\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}], D = [\p{Ll}\p{Lm}\p{Lo}\p{M}] and C the contractions or nothing:
 * P?U*D+C?|P?U+D*C?|\p{N}{1,numbersMax}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+
 */
function casedWord(
  text: CodePoints,
  start: number,
  end: number,
  rules: { readonly numbersMax: number; readonly contractions: boolean },
): number {
  const { values, classes } = text
  const kind = classes[start]
  if (kind === Class.NUMBER) return runEnd(text, start, Math.min(end, start + rules.numbersMax), Class.NUMBER)
  const prefixed = kind !== Class.LETTER && !isLineEnd(values[start]) ? start + 1 : start
  for (const large of [false, true])
    for (const from of prefixed === start ? [start] : [prefixed, start]) {
      const to = large ? largeRunEnd(text, from, end) : smallEnd(text, from, end)
      if (to > from) return to + (rules.contractions ? contraction(text, to, end, 'unicode') : 0)
    }
  return otherOrSpaces(text, start, end, (value) => isLineEnd(value) || value === SLASH)
}

/** U* */
function largeRunEnd({ values }: CodePoints, start: number, end: number): number {
  let at = start
  while (at < end && (caseOf(values[at] ?? 0) & Case.UPPER) !== 0) at++
  return at
}

/** U*D+ : as many of U as leave one for D. `start` where there is no match. */
function smallEnd(text: CodePoints, start: number, end: number): number {
  const { values } = text
  const isSmall = (at: number) => at < end && (caseOf(values[at] ?? 0) & Case.LOWER) !== 0
  let at = largeRunEnd(text, start, end)
  if (isSmall(at)) {
    while (isSmall(at)) at++
    return at
  }
  while (at > start && !isSmall(at - 1)) at--
  return at
}

/** ` ?[^\s\p{L}\p{N}]+` with what may trail it, `\s*[\r\n]+`, `\s+(?!\S)` or `\s+`. */
function otherOrSpaces(text: CodePoints, start: number, end: number, trails: (value: number | undefined) => boolean): number {
  const { values, classes } = text
  const first = values[start] === SPACE && start + 1 < end ? start + 1 : start
  if (classes[first] === Class.OTHER) {
    let at = runEnd(text, first, end, Class.OTHER)
    while (at < end && trails(values[at])) at++
    return at
  }
  const spacesEnd = runEnd(text, start, end, Class.SPACE)
  for (let at = spacesEnd; at > start; at--) if (isLineEnd(values[at - 1])) return at
  return spaces(text, start, end)
}

/** \s+(?!\S)|\s+ : a run of white space leaves its last one to the word that follows. */
function spaces(text: CodePoints, start: number, end: number): number {
  const runsTo = runEnd(text, start, end, Class.SPACE)
  return runsTo < end && runsTo - start > 1 ? runsTo - 1 : runsTo
}

function runEnd({ classes }: CodePoints, start: number, end: number, kind: number | undefined): number {
  let at = start
  while (at < end && classes[at] === kind) at++
  return at
}

function isLineEnd(value: number | undefined): boolean {
  return value === LINE_FEED || value === CARRIAGE_RETURN
}

/** Which letters count as those of a contraction: as they are, in ASCII's two cases, or in Unicode's, where ſ is an s too. */
type Folding = 'none' | 'ascii' | 'unicode'

/** How many code points of [start, end) are an English contraction with its apostrophe; 0 for none. */
function contraction({ values }: CodePoints, start: number, end: number, folding: Folding): number {
  if (values[start] !== APOSTROPHE) return 0
  const letter = (at: number) => {
    const value = at < end ? (values[at] ?? 0) : 0
    if (value === LONG_S && folding === 'unicode') return 's'
    const folded = folding !== 'none' && value >= 0x41 && value <= 0x5a ? value + 0x20 : value
    return String.fromCharCode(folded < 0x80 ? folded : 0)
  }
  const next = letter(start + 1)
  if ('stmd'.includes(next)) return 2
  return ['re', 've', 'll'].includes(next + letter(start + 2)) ? 3 : 0
}
