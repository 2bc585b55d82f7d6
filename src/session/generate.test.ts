/** The loop of one answer, over a chain that says what the test wants. Whole chains: test/unit/chain. */

import { describe, expect, it } from 'vitest'
import { FRAME_BYTES_MAX, HEADER_BYTES, ROWS_MAX, rowBytes, WIDTH_MAX } from '../protocol/index.ts'
import { ManualClock, utf8Encode } from '../shared/index.ts'
import type { Chain, ChainEvents, Lap } from './chain.ts'
import { SessionError } from './errors.ts'
import { chunkRowsFor, type GenerateEvent, type GenerateRequest, generate } from './generate.ts'
import { GREEDY } from './sampler.ts'

/** Answers with these ids, one after the other, each 10 ms after it was asked for. */
class ScriptedChain implements Chain {
  readonly maxPositions: number
  readonly laps: Lap[] = []
  readonly #clock: ManualClock
  readonly #ids: readonly number[]
  #events: ChainEvents | null = null
  #answered = 0

  constructor(clock: ManualClock, ids: readonly number[], maxPositions = 100) {
    this.#clock = clock
    this.#ids = ids
    this.maxPositions = maxPositions
  }

  listen(events: ChainEvents): void {
    this.#events = events
  }

  async submit(lap: Lap): Promise<void> {
    this.laps.push(lap)
    await Promise.resolve()
    this.#clock.advance(10)
    const id = this.#ids[this.#answered]
    const position = lap.firstPosition + lap.ids.length - 1
    const best = { position, logSumExp: 1, ids: Uint32Array.of(id ?? 0), logits: Float32Array.of(1) }
    if (lap.resultCount > 0 && id === undefined) {
      this.#events?.onFailed(new SessionError('stage-lost', 'stage 1 is gone'))
      return
    }
    if (lap.resultCount > 0) this.#answered++
    this.#events?.onResults({ firstPosition: lap.firstPosition, rowCount: lap.ids.length, candidates: lap.resultCount > 0 ? [best] : [] })
  }

  async logits(): Promise<Float32Array> {
    throw new SessionError('internal', 'nobody asks for them here')
  }

  truncate(): void {}
  close(): void {}
}

const END = 9
const pieces = ['a', 'b', 'c', ' S', 'TO', 'P', '\u00e9']
const tokenizer = {
  vocabularySize: 10,
  isEnd: (id: number) => id === END,
  tokenBytes: (id: number) => (id === 7 ? Uint8Array.of(0xe2) : utf8Encode(pieces[id] ?? '')),
}

function setup(ids: readonly number[], change: Partial<GenerateRequest> = {}, maxPositions?: number) {
  const clock = new ManualClock()
  const chain = new ScriptedChain(clock, ids, maxPositions)
  const events: GenerateEvent[] = []
  const request = { chain, tokenizer, promptTokenIds: [1, 2, 3, 4, 5], maxTokens: 10, sampling: GREEDY, chunkRows: 2, clock }
  return { chain, events, answer: generate({ ...request, onEvent: (event) => events.push(event), ...change }) }
}

describe('generate', () => {
  it('sends the prompt in chunks and asks for the last row only, then one decode row a token', async () => {
    const { chain, events, answer } = setup([0, 1, END])
    expect(await answer).toMatchObject({ completionTokenIds: [0, 1], text: 'ab', finishReason: 'stop' })
    expect(chain.laps.map(({ firstPosition, ids, kind, resultCount }) => [firstPosition, [...ids], kind, resultCount])).toEqual([
      [0, [1, 2], 'prompt', 0],
      [2, [3, 4], 'prompt', 0],
      [4, [5], 'prompt', 1],
      [5, [0], 'decode', 1],
      [6, [1], 'decode', 1],
    ])
    expect(events.filter(({ kind }) => kind === 'prompt')).toEqual([2, 4, 5].map((done) => ({ kind: 'prompt', done, total: 5 })))
  })

  it('measures the first token from the call, and the speed between first and last token', async () => {
    const { timings } = await setup([0, 1, 2, END]).answer
    expect(timings).toEqual({ firstTokenMs: 30, tokensPerSecond: 100 })
    expect((await setup([0, END]).answer).timings).toEqual({ firstTokenMs: 30, tokensPerSecond: null })
    expect((await setup([END]).answer).timings).toEqual({ firstTokenMs: null, tokensPerSecond: null })
  })

  it('ends with length at the number of tokens, and does not compute the last one', async () => {
    const { chain, answer } = setup([0, 1, 2, 3], { maxTokens: 2 })
    expect(await answer).toMatchObject({ completionTokenIds: [0, 1], finishReason: 'length' })
    expect(chain.laps).toHaveLength(4)
  })

  it('computes nothing for no tokens', async () => {
    const { chain, answer } = setup([0], { maxTokens: 0 })
    expect(await answer).toMatchObject({ completionTokenIds: [], text: '', finishReason: 'length' })
    expect(chain.laps).toHaveLength(0)
  })

  it('ends with length where the session has no more positions', async () => {
    expect(await setup([0, 1, 2, 3, 4], {}, 7).answer).toMatchObject({ completionTokenIds: [0, 1, 2], finishReason: 'length' })
  })

  it('ends before a stop string that comes over several tokens', async () => {
    const result = await setup([0, 3, 4, 5, 1], { stop: ['STOP'] }).answer
    expect(result).toMatchObject({ completionTokenIds: [0, 3, 4, 5], text: 'a ', finishReason: 'stop' })
  })

  it('gives what was held back when the answer ends in the middle of a stop string or of a character', async () => {
    const { events, answer } = setup([0, 3, 7, END], { stop: ['STOP'] })
    expect(await answer).toMatchObject({ text: 'a S\ufffd', finishReason: 'stop' })
    const shown = events.map((event) => (event.kind === 'token' || event.kind === 'text' ? event.text : '')).join('')
    expect(shown).toBe('a S\ufffd')
  })

  it('keeps steps where asked, with the end token', async () => {
    const { steps } = await setup([0, END], { keepSteps: true }).answer
    expect(steps.map(({ id, candidates }) => [id, candidates.position])).toEqual([
      [0, 4],
      [END, 5],
    ])
    expect((await setup([0, END]).answer).steps).toEqual([])
  })

  it('rejects with what broke the chain', async () => {
    await expect(setup([0, 1]).answer).rejects.toMatchObject({ reason: 'stage-lost' })
  })

  it('is cancelled before it begins, too', async () => {
    const controller = new AbortController()
    controller.abort()
    const { chain, answer } = setup([0], { signal: controller.signal })
    expect(await answer).toMatchObject({ finishReason: 'cancelled', completionTokenIds: [] })
    expect(chain.laps).toHaveLength(0)
  })

  it('refuses what cannot be done, and says what to do', async () => {
    await expect(setup([0], { promptTokenIds: [] }).answer).rejects.toMatchObject({
      reason: 'bad-request',
      message: expect.stringMatching(/empty/),
    })
    await expect(setup([0], {}, 4).answer).rejects.toMatchObject({
      reason: 'prompt-too-long',
      message: expect.stringMatching(/5 tokens.*room for 4/),
    })
    await expect(setup([0], { promptTokenIds: [10] }).answer).rejects.toMatchObject({
      reason: 'bad-request',
      message: expect.stringMatching(/token 10/),
    })
    await expect(setup([0], { maxTokens: -1 }).answer).rejects.toMatchObject({ reason: 'bad-request' })
    await expect(setup([0], { sampling: { ...GREEDY, topP: 7 } }).answer).rejects.toMatchObject({ reason: 'bad-request' })
    await expect(setup([0, END], {}, 5).answer).resolves.toMatchObject({ finishReason: 'length', completionTokenIds: [0] })
  })
})

describe('chunkRowsFor', () => {
  it('[F4] gives chunks whose activations fit a frame, for every width', () => {
    for (const width of [4, 576, 4_096, WIDTH_MAX]) {
      const rows = chunkRowsFor(width)
      expect(rows).toBeGreaterThan(0)
      expect(rows).toBeLessThanOrEqual(ROWS_MAX)
      expect(HEADER_BYTES + rows * rowBytes('f32', width)).toBeLessThanOrEqual(FRAME_BYTES_MAX)
    }
  })
})
