import { describe, expect, it } from 'vitest'
import { initialEngine, initialPledgeMb, PLEDGE_MB_MAX, PLEDGE_MB_MIN, pledgeBytes, wasmPledgeMb, yieldsToOthers } from './pledge.ts'
import { addSample, SAMPLES_MAX, secondsLeft } from './timeLeft.ts'

describe('pledge', () => {
  it('takes the address before the device', () => {
    expect(initialPledgeMb({ search: '?pledge-mb=60&engine=webgpu', deviceMemoryGb: 8 })).toBe(60)
  })

  it('takes the engine, and what it pledges without a GPU, from the address', () => {
    expect(initialEngine({ search: '?engine=wasm' })).toBe('wasm')
    expect(initialEngine({ search: '?engine=webgpu' })).toBe('webgpu')
    expect(['', '?engine=', '?engine=cpu'].map((search) => initialEngine({ search }))).toEqual(['auto', 'auto', 'auto'])
    expect(['?pledge-mb-wasm=700', '?pledge-mb-wasm=x', ''].map((search) => wasmPledgeMb({ search }))).toEqual([700, null, null])
  })

  it('yields the machine unless the address says otherwise', () => {
    expect(['', '?pressure=on', '?pressure=off'].map((search) => yieldsToOthers({ search }))).toEqual([true, true, false])
  })

  it('offers 2,048 MB, and a quarter of what a small device has', () => {
    expect(initialPledgeMb({ search: '', deviceMemoryGb: null })).toBe(2048)
    expect(initialPledgeMb({ search: '', deviceMemoryGb: 8 })).toBe(2048)
    expect(initialPledgeMb({ search: '', deviceMemoryGb: 2 })).toBe(512)
    expect(initialPledgeMb({ search: '', deviceMemoryGb: 0.25 })).toBe(64)
  })

  it.each(['', 'abc', '-5', '1e9', '1234567'])('ignores the address where it says %j', (text) => {
    expect(initialPledgeMb({ search: `?pledge-mb=${text}`, deviceMemoryGb: null })).toBe(2048)
  })

  it('keeps the address within bounds, and counts decimal megabytes', () => {
    expect(initialPledgeMb({ search: '?pledge-mb=0', deviceMemoryGb: null })).toBe(PLEDGE_MB_MIN)
    expect(initialPledgeMb({ search: '?pledge-mb=999999', deviceMemoryGb: null })).toBe(PLEDGE_MB_MAX)
    expect(pledgeBytes(60)).toBe(60_000_000)
  })
})

describe('time left', () => {
  it('follows the pace of the last samples', () => {
    expect(secondsLeft([0, 10, 20], 100)).toBe(8)
  })

  it('says nothing before there is a pace', () => {
    expect(secondsLeft([], 100)).toBeNull()
    expect(secondsLeft([10], 100)).toBeNull()
    expect(secondsLeft([10, 10], 100)).toBeNull()
  })

  it('keeps a bounded memory', () => {
    let samples: number[] = []
    for (let at = 0; at < 50; at++) samples = addSample(samples, at)
    expect(samples).toHaveLength(SAMPLES_MAX)
    expect(samples.at(-1)).toBe(49)
  })
})
