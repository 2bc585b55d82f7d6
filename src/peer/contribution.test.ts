import { describe, expect, it } from 'vitest'
import { ManualClock, type PeerId } from '../shared/index.ts'
import { Contribution, type ContributionPorts } from './contribution.ts'
import { CALM_MS, type HostSignals } from './pressure.ts'
import type { VolunteerState } from './types.ts'

type Events = Parameters<ContributionPorts['host']>[0]

const gpu = { engine: 'webgpu', adapter: 'Test adapter', software: false, macsPerSecond: 1e9 } as const
const low = { battery: { charging: false, level: 0.1 } }
const plugged = { battery: { charging: true, level: 0.1 } }

/** A contribution whose hostings and machine are played by the test. */
function setUp(isWatched = true) {
  const clock = new ManualClock()
  const states: VolunteerState[] = []
  const peers: (PeerId | null)[] = []
  const hostings: { readonly events: Events; readonly calls: string[] }[] = []
  let listen: (signals: Partial<HostSignals>) => void = () => undefined
  let watching = false
  const contribution = new Contribution({
    host(events) {
      const calls: string[] = []
      hostings.push({ events, calls })
      return { drain: (reason) => calls.push(`drain ${reason}`), stop: () => calls.push('stop') }
    },
    watchHost: !isWatched
      ? null
      : (listener) => {
          listen = listener
          watching = true
          return () => {
            watching = false
          }
        },
    clock,
    onState: (state) => states.push(state),
    onPeer: (peer) => peers.push(peer),
  })
  return {
    contribution,
    clock,
    states,
    peers,
    hostings,
    say: (signals: Partial<HostSignals>) => listen(signals),
    isWatching: () => watching,
    last: () => hostings.at(-1) ?? { events: {} as Events, calls: [] },
  }
}

describe('Contribution', () => {
  it('does not take its own load for others’, where the processor plays the GPU', () => {
    for (const [engine, software, calls] of [
      ['webgpu', false, ['drain busy']],
      ['webgpu', true, []],
      ['wasm', false, []],
    ] as const) {
      const { clock, say, last } = setUp()
      last().events.onState({ kind: 'waiting', gpu: { ...gpu, engine, software } })
      say({ processor: 'critical' })
      clock.advance(60_000)
      expect(last().calls).toEqual(calls)
    }
  })

  it('drains, ends and says why when the machine is wanted elsewhere, and begins anew when it is free for a while', () => {
    const { clock, states, peers, hostings, say, last } = setUp()
    last().events.onState({ kind: 'waiting', gpu })
    say(low)
    clock.advance(1_000)
    expect(last().calls).toEqual(['drain battery'])
    expect(states.at(-1)?.kind).toBe('waiting')
    last().events.onDrained()
    expect(last().calls).toEqual(['drain battery', 'stop'])
    expect(states.at(-1)).toEqual({ kind: 'paused', reason: 'battery' })
    expect(peers.at(-1)).toBeNull()
    say(plugged)
    clock.advance(CALM_MS - 1_000)
    expect(hostings).toHaveLength(1)
    clock.advance(2_000)
    expect(hostings).toHaveLength(2)
    expect(last().calls).toEqual([])
  })

  it('goes on at once on the user’s word, whatever the machine is doing', () => {
    const { contribution, clock, hostings, say, last } = setUp()
    say(low)
    clock.advance(1_000)
    last().events.onDrained()
    contribution.resume()
    expect(hostings).toHaveLength(2)
    clock.advance(600_000)
    expect(last().calls).toEqual([])
    contribution.resume()
    expect(hostings).toHaveLength(2)
  })

  it('says its reason once, and another one that takes its place', () => {
    const { clock, states, say, last } = setUp()
    say(low)
    clock.advance(1_000)
    last().events.onDrained()
    const before = states.length
    clock.advance(60_000)
    expect(states).toHaveLength(before)
    say({ ...plugged, userActive: true })
    clock.advance(60_000)
    expect(states.slice(before)).toEqual([{ kind: 'paused', reason: 'user' }])
  })

  it('hears nothing of a hosting that has ended', () => {
    const { clock, states, hostings, say, last } = setUp()
    say(low)
    clock.advance(1_000)
    last().events.onDrained()
    hostings[0]?.events.onState({ kind: 'off' })
    hostings[0]?.events.onDrained()
    expect(states.at(-1)).toEqual({ kind: 'paused', reason: 'battery' })
    expect(hostings[0]?.calls).toEqual(['drain battery', 'stop'])
  })

  it('[C27] begins anew at once when a worker hangs, as another peer, and leaves the fourth within ten minutes to the user', () => {
    const { clock, states, hostings, peers, last } = setUp()
    for (let hang = 1; hang <= 3; hang++) {
      last().events.onHung()
      expect(hostings).toHaveLength(hang + 1)
      clock.advance(100_000)
    }
    last().events.onHung()
    clock.advance(100_000)
    expect(hostings).toHaveLength(4)
    expect(states.at(-1)).toMatchObject({ kind: 'failed', error: { reason: 'worker-hung' } })
    expect(peers.at(-1)).toBeNull()
  })

  it('pauses instead of beginning anew when a worker hangs while the machine is wanted', () => {
    const { clock, states, hostings, say, last } = setUp()
    say(low)
    clock.advance(1_000)
    last().events.onHung()
    expect(hostings).toHaveLength(1)
    expect(states.at(-1)).toEqual({ kind: 'paused', reason: 'battery' })
  })

  it('leaves a failure to the user', () => {
    const { clock, states, say, last } = setUp()
    last().events.onState({ kind: 'failed', error: { reason: 'no-webgpu', message: 'use another browser' } })
    say(low)
    clock.advance(60_000)
    expect(last().calls).toEqual([])
    expect(states.at(-1)?.kind).toBe('failed')
  })

  it('ends for good at Stop, also while it is paused', () => {
    const { contribution, clock, states, hostings, say, isWatching, last } = setUp()
    say(low)
    clock.advance(1_000)
    last().events.onDrained()
    contribution.stop()
    say(plugged)
    clock.advance(600_000)
    expect(hostings).toHaveLength(1)
    expect(states.at(-1)).toEqual({ kind: 'off' })
    expect(isWatching()).toBe(false)
  })

  it('heeds nothing where it was told so', () => {
    const { clock, last } = setUp(false)
    for (let round = 0; round < 4; round++) last().events.onDeviceLost()
    clock.advance(600_000)
    expect(last().calls).toEqual([])
  })
})
