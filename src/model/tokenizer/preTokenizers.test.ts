import { describe, expect, it } from 'vitest'
import { testData } from '../../../test/support/gguf.ts'
import { textToBinary } from './binary.ts'
import { decodeCodePoints } from './codePoints.ts'
import { preTokenizerByName } from './preTokenizers.ts'

interface Golden {
  readonly texts: readonly string[]
  /** Lengths in code points, by pre-tokenizer and text. */
  readonly words: Readonly<Record<string, readonly (readonly number[])[]>>
}

const golden: Golden = JSON.parse(new TextDecoder('utf-8', { ignoreBOM: true }).decode(testData('tokenizer/words.json.gz')))

const wordsOf = (name: string, text: string): string[] => {
  const ends = preTokenizerByName(name).split(decodeCodePoints(textToBinary(text)))
  const characters = [...text]
  return ends.map((end, index) => characters.slice(ends[index - 1] ?? 0, end).join(''))
}

describe.each(['tekken', 'gpt-4o'])('the words of %s', (name) => {
  it("are those of the models' own regular expression in the library tokenizers", () => {
    const expected = golden.words[name] ?? []
    expect(expected.length).toBe(golden.texts.length)
    for (const [index, text] of golden.texts.entries())
      expect(
        wordsOf(name, text).map((word) => [...word].length),
        JSON.stringify(text),
      ).toEqual(expected[index])
  })

  it('take time in proportion to the text', () => {
    // Backtracking over a run of large letters from each of them would be beyond the test's time by far.
    expect(wordsOf(name, 'A'.repeat(100_000))).toHaveLength(1)
    expect(wordsOf(name, 'Ab'.repeat(50_000))).toHaveLength(50_000)
    expect(wordsOf(name, '\u0301'.repeat(100_000))).toHaveLength(1)
  })
})

describe('preTokenizerByName', () => {
  it('cuts where small turns to large, and takes contractions or leaves them', () => {
    expect(wordsOf('tekken', "HTTPServer don't")).toEqual(['HTTPServer', ' don', "'t"])
    expect(wordsOf('gpt-4o', "HTTPServer don't 1234")).toEqual(['HTTPServer', " don't", ' ', '123', '4'])
  })

  it('refuses what it does not know, with the list of what it does', () => {
    expect(() => preTokenizerByName('viking')).toThrow(/"viking" is not supported; supported: gpt-2.*tekken/)
    expect(() => preTokenizerByName(undefined)).toThrow(/names no pre-tokenizer/)
  })
})
