/** A prompt said again: its text is the client's own to the letter, however its tokens cut it. */

import { describe, expect, it } from 'vitest'
import type { ModelText } from '../peer/index.ts'
import type { GenerateStep } from '../session/index.ts'
import { required, utf8Encode } from '../shared/index.ts'
import { PromptEcho } from './promptEcho.ts'

const [BOS, SPACE, FOX, HALF, REST] = [0, 1, 2, 3, 4]
const pieces = [utf8Encode('<s>'), utf8Encode(' '), utf8Encode(' fox'), Uint8Array.of(0xc3), Uint8Array.of(0xa9)]

/** Tokenizes to what the test says. */
function modelOf(encoded: readonly number[], { addBos = true, stripLeadingSpace = false } = {}): ModelText {
  const tokenizer = {
    vocabularySize: pieces.length,
    addBos,
    bosId: BOS,
    longestTokenBytes: () => 8,
    encode: () => [...encoded],
    tokenBytes: (id: number) => required(pieces[id], `the token ${id}`),
  }
  return { manifest: { config: { contextLength: 100 } }, tokenizer, stripLeadingSpace } as unknown as ModelText
}

/** Behind each token but the first; `best` is the favourite, and the token itself is named. */
function stepsOf(ids: readonly number[]): GenerateStep[] {
  return ids.slice(1).map((id, position) => ({
    id,
    candidates: {
      position,
      logSumExp: 3,
      ids: Uint32Array.of(SPACE),
      logits: Float32Array.of(2),
      named: { ids: Uint32Array.of(id), logits: Float32Array.of(id === SPACE ? 2 : -id) },
    },
  }))
}

describe('PromptEcho', () => {
  it('says all at once where nobody asks how likely it was, without what the tokenizer has added', () => {
    const echo = new PromptEcho({ kind: 'raw', text: ' foxé' }, modelOf([FOX, HALF, REST]), null)
    expect(echo.ids).toEqual([BOS, FOX, HALF, REST])
    expect(echo.begin()).toEqual({ kind: 'text', text: ' foxé', completionTokens: 0, tokens: [] })
  })

  it('shows a control token that the client has written, as text and as an id', () => {
    const written = new PromptEcho({ kind: 'raw', text: '<s> fox' }, modelOf([BOS, FOX]), null)
    expect(written.begin()).toMatchObject({ text: '<s> fox' })
    expect(new PromptEcho({ kind: 'ids', ids: [BOS, FOX] }, modelOf([]), null).begin()).toMatchObject({ text: '<s> fox' })
  })

  it('shows no space that SentencePiece has put before a text', () => {
    const echo = new PromptEcho({ kind: 'raw', text: 'fox fox' }, modelOf([FOX, FOX], { stripLeadingSpace: true }), null)
    expect(echo.begin()).toMatchObject({ text: 'fox fox' })
  })

  it('weighs each token by those before it, and the first by nothing, over a character that two tokens share', () => {
    const echo = new PromptEcho({ kind: 'ids', ids: [FOX, HALF, REST, SPACE] }, modelOf([]), 1)
    const steps = stepsOf(echo.ids)
    const said = [echo.begin(), echo.goOn(steps.slice(0, 1)), echo.goOn(steps.slice(1))].map((event) => {
      if (event.kind !== 'text') throw new Error('unexpected event')
      return event
    })
    expect(said.map(({ text }) => text)).toEqual([' fox', '', 'é '])
    const tokens = said.flatMap((event) => event.tokens)
    expect(tokens.map(({ id, logprob }) => [id, logprob])).toEqual([
      [FOX, null],
      [HALF, -6],
      [REST, -7],
      [SPACE, -1],
    ])
    expect(tokens.map(({ top }) => top.map(({ id, logprob }) => [id, logprob]))).toEqual([[], [[SPACE, -1]], [[SPACE, -1]], [[SPACE, -1]]])
  })

  it('ends with U+FFFD where the prompt ends in the middle of a character', () => {
    expect(new PromptEcho({ kind: 'ids', ids: [FOX, HALF] }, modelOf([]), null).begin()).toMatchObject({ text: ' fox\ufffd' })
  })
})
