/** Text out of tokens: characters are never split, stop strings are never shown. */

import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { utf8Encode } from '../shared/index.ts'
import { AnswerText } from './answerText.ts'
import { Detokenizer } from './detokenizer.ts'
import { STOP_SEQUENCE_CHARACTERS_MAX, STOP_SEQUENCES_MAX, StopSequences } from './stopSequences.ts'

/** Token i is the i-th piece. */
function detokenizer(pieces: readonly Uint8Array[], stripLeadingSpace = false): Detokenizer {
  return new Detokenizer({ tokenBytes: (id) => pieces[id] ?? new Uint8Array(0) }, { stripLeadingSpace })
}

function cut<Piece>(whole: { slice(start: number, end: number): Piece; readonly length: number }, cuts: readonly number[]): Piece[] {
  const places = [0, ...cuts.map((place) => place % (whole.length + 1)).sort((a, b) => a - b), whole.length]
  return places.slice(1).map((end, index) => whole.slice(places[index] ?? 0, end))
}

const text = fc.string({ unit: 'binary', maxLength: 40 })

describe('Detokenizer', () => {
  it('gives the text whatever the cut, and never a part of a character', () => {
    fc.assert(
      fc.property(text, fc.array(fc.nat()), (whole, cuts) => {
        const pieces = cut(utf8Encode(whole), cuts)
        const tokens = detokenizer(pieces)
        const parts = pieces.map((_, id) => tokens.push(id))
        for (const part of parts) expect(part.includes('\ufffd') && !whole.includes('\ufffd')).toBe(false)
        expect(parts.join('') + tokens.flush()).toBe(whole)
      }),
    )
  })

  it('holds an unfinished character, and gives U+FFFD only when it is certain', () => {
    const tokens = detokenizer([Uint8Array.of(0xf0, 0x9f), Uint8Array.of(0x98, 0x80), Uint8Array.of(0xe2, 0x82), Uint8Array.of(0x41)])
    expect([tokens.push(0), tokens.push(1), tokens.push(2), tokens.push(3)]).toEqual(['', '😀', '', '\ufffdA'])
    expect([tokens.push(2), tokens.flush()]).toEqual(['', '\ufffd'])
  })

  it('keeps a byte order mark', () => {
    expect(detokenizer([Uint8Array.of(0xef, 0xbb, 0xbf)]).push(0)).toBe('\ufeff')
  })

  it('strips one leading space where asked, after empty tokens too', () => {
    const pieces = [new Uint8Array(0), utf8Encode('  a'), utf8Encode(' b')]
    const strip = detokenizer(pieces, true)
    expect([strip.push(0), strip.push(1), strip.push(2)]).toEqual(['', ' a', ' b'])
    const keep = detokenizer(pieces)
    expect([keep.push(0), keep.push(1), keep.push(2)]).toEqual(['', '  a', ' b'])
  })
})

describe('StopSequences', () => {
  const run = (stops: readonly string[], parts: readonly string[]) => {
    const sequences = new StopSequences(stops)
    const shown = parts.map((part) => sequences.push(part))
    return { shown, text: shown.join('') + sequences.flush(), stopped: sequences.stopped }
  }

  it('ends before a stop string that comes in pieces', () => {
    expect(run(['STOP'], ['abS', 'T', 'OP and more', 'x'])).toEqual({ shown: ['ab', '', '', ''], text: 'ab', stopped: true })
  })

  it('releases what cannot become a stop string any more', () => {
    expect(run(['STOP'], ['abS', 'T', 'A', 'b'])).toEqual({ shown: ['ab', '', 'STA', 'b'], text: 'abSTAb', stopped: false })
  })

  it('releases an unfinished stop string at the end', () => {
    expect(run(['STOP'], ['abSTO'])).toEqual({ shown: ['ab'], text: 'abSTO', stopped: false })
  })

  it('finds a stop string that overlaps its own beginning', () => {
    expect(run(['aab'], ['a', 'a', 'a', 'b'])).toMatchObject({ text: 'a', stopped: true })
  })

  it('shows the same whatever the cut, never a stop string, and as much as possible', () => {
    const letters = fc.string({ unit: fc.constantFrom('a', 'b', 'c'), maxLength: 30 })
    const stops = fc.array(fc.string({ unit: fc.constantFrom('a', 'b', 'c'), minLength: 1, maxLength: 4 }), { maxLength: 3 })
    fc.assert(
      fc.property(letters, stops, fc.array(fc.nat()), (whole, strings, cuts) => {
        const { text: shown, stopped } = run(strings, cut(whole, cuts))
        expect(shown).toBe(run(strings, [...whole]).text)
        expect(stopped).toBe(strings.some((stop) => whole.includes(stop)))
        for (const stop of strings) expect(shown).not.toContain(stop)
        if (!stopped) expect(shown).toBe(whole)
      }),
    )
  })

  it('refuses empty, overlong and too many stop strings', () => {
    expect(() => new StopSequences([''])).toThrow(/0 characters/)
    expect(() => new StopSequences(['x'.repeat(STOP_SEQUENCE_CHARACTERS_MAX + 1)])).toThrow(/1001 characters/)
    expect(() => new StopSequences(new Array<string>(STOP_SEQUENCES_MAX + 1).fill('x'))).toThrow(/17 stop strings/)
    expect(() => new StopSequences(new Array<string>(STOP_SEQUENCES_MAX).fill('x'.repeat(STOP_SEQUENCE_CHARACTERS_MAX)))).not.toThrow()
  })
})

describe('AnswerText', () => {
  /** Bytes that make sense and bytes that do not, cut anywhere; few enough letters that stop strings occur. */
  const bytes = fc.oneof(
    fc.constantFrom('a', 'b', 'ab', ' ', '€', '😀', '\ufffd').map((piece) => utf8Encode(piece)),
    fc.uint8Array({ maxLength: 3 }),
    fc.constantFrom(Uint8Array.of(0xe2), Uint8Array.of(0x82), Uint8Array.of(0xac), Uint8Array.of(0xf0, 0x9f), Uint8Array.of(0x98)),
  )
  const stop = fc.array(fc.string({ unit: fc.constantFrom('a', 'b', '€', '\ufffd', '😀'), minLength: 1, maxLength: 2 }), {
    minLength: 1,
    maxLength: 3,
  })

  it('knows beforehand where tokens would end it, and is not changed by being asked', () => {
    let ended = 0
    fc.assert(
      fc.property(
        fc.array(bytes, { minLength: 6, maxLength: 20 }),
        fc.nat(5),
        stop,
        fc.boolean(),
        (pieces, place, stops, stripLeadingSpace) => {
          const create = () => new AnswerText({ tokenBytes: (id) => pieces[id] ?? new Uint8Array(0) }, { stop: stops, stripLeadingSpace })
          const ids = [...pieces.keys()]
          const at = Math.min(place, ids.length)
          const [asked, plain] = [create(), create()]
          const known = ids.slice(0, at)
          for (const id of known) {
            asked.countBeforeStop(ids.slice(id))
            expect(asked.push(id)).toBe(plain.push(id))
          }
          const count = asked.countBeforeStop(ids.slice(at))
          if (plain.stopped) return
          for (const id of ids.slice(at, at + count)) {
            plain.push(id)
            expect(plain.stopped).toBe(false)
          }
          if (at + count === ids.length) return
          plain.push(at + count)
          expect(plain.stopped).toBe(true)
          ended++
        },
      ),
      { numRuns: 500 },
    )
    expect(ended).toBeGreaterThan(20)
  })
})
