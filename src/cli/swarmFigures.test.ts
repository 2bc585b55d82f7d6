/** A lap of one session over two stages is laid out by hand; what is told of it must be what was put in. */

import { describe, expect, it } from 'vitest'
import type { Frame } from '../protocol/index.ts'
import type { SessionId } from '../shared/index.ts'
import type { FrameEvent, FramePoint } from './frameProbe.ts'
import {
  type ChainEvents,
  hopFixedMs,
  idealLapMs,
  lapPartsOf,
  lapsOf,
  lawTokensPerSecond,
  modelMsOf,
  overheadPercent,
  throughputOf,
  wireBytesPerToken,
} from './swarmFigures.ts'

const DELAY_MS = 20
const SESSION = '000102030405060708090a0b0c0d0e0f' as SessionId
const OTHER_SESSION = '100102030405060708090a0b0c0d0e0f' as SessionId

const shared = { epoch: 0, rowCount: 1, resultCount: 1, payload: new Uint8Array(0) }

function rows(firstPosition: number): Frame {
  return { type: 'rows', sessionId: SESSION, firstPosition, kind: 'decode', encoding: 'tokens', ...shared }
}

function results(firstPosition: number): Frame {
  return { type: 'results', sessionId: SESSION, firstPosition, topK: 1, ...shared }
}

function lap(firstPosition: number, computeMs: number, sessionId = SESSION): Frame {
  return { type: 'lap', epoch: 0, sessionId, firstPosition, rowCount: 1, kind: 'decode', computeMs, bytesSent: 0, linkKind: 'webrtc' }
}

function event(point: FramePoint, atMs: number, frame: Frame): FrameEvent {
  return { point, atMs, bytes: 100, frame }
}

/** What a stage sees of one row that comes at `atMs`: 0.5 to the worker, 0.25 there beside compute, 0.5 back, 0.125 twice in the page. */
function stageEvents(atMs: number, position: number, computeMs: number, output: Frame): FrameEvent[] {
  const posted = atMs + 0.125 + 0.5 + 0.25 + computeMs
  return [
    event('receive', atMs, rows(position)),
    event('page-post', atMs + 0.125, rows(position)),
    event('worker-take', atMs + 0.625, rows(position)),
    event('worker-post', posted, output),
    event('page-take', posted + 0.5, output),
    event('send', posted + 0.625, output),
    event('send', posted + 1, lap(position, computeMs)),
  ]
}

/** Two laps; of each hop 1 ms beside the delay is the transport's; the driver takes 0.5 ms. The second stage's clock is wrong by an hour. */
function twoLaps(): ChainEvents {
  const wrongMs = 3_600_000
  const hopMs = DELAY_MS + 1
  const driver: FrameEvent[] = []
  const first: FrameEvent[] = []
  const second: FrameEvent[] = []
  let atMs = 0
  for (const position of [10, 11]) {
    driver.push(event('send', atMs, rows(position)))
    first.push(...stageEvents(atMs + hopMs, position, 8, rows(position)))
    atMs += hopMs + 1.5 + 8
    second.push(...stageEvents(atMs + hopMs + wrongMs, position, 12, results(position)))
    atMs += hopMs + 1.5 + 12 + hopMs
    driver.push(event('receive', atMs, results(position)))
    atMs += 0.5
  }
  driver.push(event('send', atMs, rows(12)))
  return { driver, stages: [first, second] }
}

describe('a lap', () => {
  it('lasts from sending rows to sending the next, and is known once each stage has told of it', () => {
    const laps = lapsOf(twoLaps())
    const lapMs = 3 * (DELAY_MS + 1) + 2 * 1.5 + 8 + 12 + 0.5
    expect(laps).toEqual([
      { sessionId: SESSION, firstPosition: 10, rowCount: 1, lapMs, computeMs: [8, 12] },
      { sessionId: SESSION, firstPosition: 11, rowCount: 1, lapMs, computeMs: [8, 12] },
    ])
    const events = twoLaps()
    const silent = events.stages.map((stage) => stage.filter(({ frame }) => frame?.type !== 'lap' || frame.firstPosition !== 10))
    expect(lapsOf({ ...events, stages: silent }).map(({ firstPosition }) => firstPosition)).toEqual([11])
  })

  it('is taken apart without a rest, whatever the clocks of tabs say', () => {
    const events = twoLaps()
    const parts = lapPartsOf(events, lapsOf(events), DELAY_MS)
    expect(parts).toEqual({ driverMs: 0.5, transportMs: 3, pageMs: 0.5, portMs: 2, stageMs: 0.5 })
    const [first] = lapsOf(events)
    const lost = Object.values(parts ?? {}).reduce((sum, ms) => sum + ms, 0)
    expect(lost / 3).toBeCloseTo(hopFixedMs({ lapMs: first?.lapMs ?? 0, computeMs: 20, stages: 2, delayMs: DELAY_MS }), 9)
  })

  it('has nothing of a page or a port in a tab whose worker has the data channel', () => {
    const { driver, stages } = twoLaps()
    const events = {
      driver,
      stages: stages.map((stage, index) => stage.filter(({ point }) => index > 0 || /^(receive|send)$/.test(point))),
    }
    expect(lapPartsOf(events, lapsOf(events), DELAY_MS)).toEqual({
      driverMs: 0.5,
      transportMs: 3,
      pageMs: 0.25,
      portMs: 1,
      stageMs: 0.25 + 1.5,
    })
  })

  it('has no parts where a frame was not seen', () => {
    const events = twoLaps()
    const blind = { ...events, stages: events.stages.map((stage) => stage.filter(({ point }) => point !== 'worker-take')) }
    expect(lapPartsOf(blind, lapsOf(blind), DELAY_MS)).toBeNull()
  })
})

describe('what is told of a run', () => {
  it('compares with compute and the way, over one hop more than stages', () => {
    expect(idealLapMs({ computeMs: 20, stages: 2, delayMs: 20 })).toBe(80)
    expect(hopFixedMs({ lapMs: 89, computeMs: 20, stages: 2, delayMs: 20 })).toBe(3)
    expect(overheadPercent(12.5, 10)).toBe(25)
    expect(overheadPercent(10, 10)).toBe(0)
  })

  it('[law] takes the lower of sessions alone and of a full pipeline', () => {
    const law = { sessions: 10, stages: 3, tokenMs: 500, modelMs: 100 }
    expect(lawTokensPerSecond(law)).toBe(20)
    expect(lawTokensPerSecond({ ...law, tokenMs: 250 })).toBe(30)
    expect(lawTokensPerSecond({ ...law, modelMs: 300 })).toBe(10)
  })

  it('[t_model] adds up passes of one row, and leaves out those that several sessions shared', () => {
    const told = (laps: readonly Frame[]) => laps.map((frame, index) => event('send', index, frame))
    const first = told([lap(1, 10), lap(2, 30), lap(2, 30, OTHER_SESSION), lap(3, 12), lap(4, 14)])
    expect(modelMsOf([first, told([lap(1, 5)])])).toBe(17)
    expect(modelMsOf([first, told([lap(2, 30), lap(2, 30, OTHER_SESSION)])])).toBeNull()
  })

  it('counts tokens while every session was answering, and no first ones', () => {
    const throughput = throughputOf([{ tokensMs: [0, 100, 200, 300, 400] }, { tokensMs: [100, 200, 300] }])
    expect(throughput).toEqual({ tokensPerSecond: 20, fromMs: 100, untilMs: 300 })
    expect(throughputOf([{ tokensMs: [0, 100] }, { tokensMs: [100, 200] }])).toBeNull()
    expect(throughputOf([{ tokensMs: [] }])).toBeNull()
  })

  it('shares among tokens the bytes of all tabs, of that time only', () => {
    const events = {
      driver: [event('send', 50, rows(1)), event('send', 150, rows(2))],
      stages: [[event('send', 200, rows(2)), event('receive', 200, rows(2))]],
    }
    expect(wireBytesPerToken(events, { tokensPerSecond: 20, fromMs: 100, untilMs: 300 })).toBe(50)
  })
})
