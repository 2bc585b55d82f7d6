import { describe, expect, it } from 'vitest'
import type { Chain, ChainEvents, Lap } from '../session/index.ts'
import { ManualClock, required } from '../shared/index.ts'
import { inTurns, Turns } from './turns.ts'

const settle = () => new Promise((resolve) => setImmediate(resolve))

describe('Turns', () => {
  it('begin when all wait, go to whoever is behind, and end with who leaves', async () => {
    const turns = new Turns(2)
    const order: string[] = []
    const wait = (name: string, progress: number) => void turns.next(progress).then(() => order.push(name))
    wait('a', 0)
    await settle()
    expect(order).toEqual([])
    wait('b', 0)
    await settle()
    expect(order).toEqual(['a'])
    wait('a', 5)
    await settle()
    expect(order).toEqual(['a', 'b'])
    wait('b', 1)
    await settle()
    expect(order).toEqual(['a', 'b', 'b'])
    turns.leave()
    await settle()
    expect(order).toEqual(['a', 'b', 'b', 'a'])
  })
})

describe('a chain in turns', () => {
  it('is timed while it has its turn, and as far away as asked', async () => {
    const clock = new ManualClock()
    const listeners: ChainEvents[] = []
    const laps: Lap[] = []
    const inner: Chain = {
      maxPositions: 10,
      listen: (listener) => void listeners.push(listener),
      submit: async (lap) => void laps.push(lap),
      logits: async () => new Float32Array(0),
      truncate: () => undefined,
      close: () => undefined,
    }
    const turns = new Turns(2)
    const { chain, clock: watch } = inTurns(inner, turns, 60, clock)
    const parts: number[] = []
    chain.listen({
      onResults: ({ rowCount }) => parts.push(rowCount),
      onLap: () => undefined,
      onRepair: () => undefined,
      onFailed: () => undefined,
    })
    const lap: Lap = { firstPosition: 3, ids: Uint32Array.of(1), kind: 'decode', resultCount: 1 }
    const submitted = chain.submit(lap)
    clock.advance(1_000)
    expect(laps).toEqual([])
    expect(watch.nowMs()).toBe(0)
    void turns.next(4)
    await submitted
    expect(laps).toEqual([lap])
    clock.advance(7)
    required(listeners[0], 'listener').onResults({ firstPosition: 3, rowCount: 1, candidates: [] })
    expect(parts).toEqual([1])
    expect(watch.nowMs()).toBe(67)
    void chain.submit({ ...lap, firstPosition: 4 })
    clock.advance(1_000)
    expect(watch.nowMs()).toBe(67)
  })
})
