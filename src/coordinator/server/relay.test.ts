import { EventEmitter } from 'node:events'
import { describe, expect, it } from 'vitest'
import type { WebSocket } from 'ws'
import { ManualClock, type PeerId } from '../../shared/index.ts'
import { RELAY_CHECK_MS, RELAY_IDLE_MS, RELAY_JOIN_MS, RELAY_QUEUE_HIGH_BYTES, RELAY_RATE } from './limits.ts'
import { Pacer } from './pacer.ts'
import { Relay } from './relay.ts'

/** What a relay uses of a socket; the test reads and drains it. */
class FakeSocket extends EventEmitter {
  isPaused = false
  bufferedAmount = 0
  pings = 0
  readonly sent: number[] = []
  closed: { readonly code: number; readonly reason: string } | null = null
  #waiting: (() => void)[] = []
  /** Whether what is sent goes out at once. */
  reads = true

  send(data: Buffer, _options: unknown, onSent: () => void): void {
    this.sent.push(data.byteLength)
    if (this.reads) return onSent()
    this.bufferedAmount += data.byteLength
    this.#waiting.push(onSent)
  }

  drain(): void {
    this.bufferedAmount = 0
    for (const onSent of this.#waiting.splice(0)) onSent()
  }

  say(bytes: number, isBinary = true): void {
    this.emit('message', Buffer.alloc(bytes), isBinary)
  }

  pause(): void {
    this.isPaused = true
  }

  resume(): void {
    this.isPaused = false
  }

  ping(): void {
    this.pings++
  }

  terminate(): void {}

  close(code: number, reason: string): void {
    this.closed = { code, reason }
  }
}

const peerIds = ['a'.repeat(32) as PeerId, 'b'.repeat(32) as PeerId] as const

function setUp(options: { readonly totalBytesPerSecond?: number } = {}) {
  const clock = new ManualClock()
  const { totalBytesPerSecond = 1e12 } = options
  const total = new Pacer({ bytesPerSecond: totalBytesPerSecond, burstBytes: totalBytesPerSecond }, clock)
  const wanted = { value: true }
  const ended: Relay[] = []
  const relay = new Relay({ peerIds, number: 1, clock, total, isWanted: () => wanted.value, onEnded: (which) => ended.push(which) })
  const [dialer, listener] = [new FakeSocket(), new FakeSocket()]
  const join = (index: 0 | 1) => relay.join(index, (index === 0 ? dialer : listener) as unknown as WebSocket)
  return { clock, relay, dialer, listener, join, ended, wanted }
}

function joined(options?: Parameters<typeof setUp>[0]) {
  const world = setUp(options)
  world.join(0)
  world.join(1)
  return world
}

describe('a relay', () => {
  it('[L2] reads nothing before both ends are there, and is given up when one does not come', () => {
    const { clock, relay, dialer, join, ended } = setUp()
    join(0)
    expect([dialer.isPaused, relay.isOpen]).toEqual([true, false])
    clock.advance(RELAY_JOIN_MS - 1)
    expect(ended).toEqual([])
    clock.advance(1)
    expect(dialer.closed).toEqual({ code: 1008, reason: expect.stringMatching(/did not come/) })
    expect(ended).toEqual([relay])
  })

  it('[L3] passes messages on as they are, both ways', () => {
    const { dialer, listener } = joined()
    expect([dialer.isPaused, listener.isPaused]).toEqual([false, false])
    dialer.say(10)
    listener.say(20)
    dialer.say(0)
    expect([listener.sent, dialer.sent]).toEqual([[10, 0], [20]])
  })

  it('[L4] stops reading from who sends faster than the other end reads, until that has', () => {
    const { dialer, listener } = joined()
    listener.reads = false
    dialer.say(RELAY_QUEUE_HIGH_BYTES)
    expect(dialer.isPaused).toBe(false)
    dialer.say(1)
    expect([dialer.isPaused, listener.isPaused]).toEqual([true, false])
    listener.drain()
    expect(dialer.isPaused).toBe(false)
  })

  it('[L4] stops reading from who sends faster than the rate, for as long as that takes', () => {
    const { clock, dialer } = joined()
    dialer.say(RELAY_RATE.burstBytes)
    expect(dialer.isPaused).toBe(false)
    dialer.say(RELAY_RATE.bytesPerSecond)
    expect(dialer.isPaused).toBe(true)
    clock.advance(999)
    expect(dialer.isPaused).toBe(true)
    clock.advance(1)
    expect(dialer.isPaused).toBe(false)
  })

  it('[L4] shares the rate of all relays', () => {
    const { clock, dialer, listener } = joined({ totalBytesPerSecond: 1_000_000 })
    dialer.say(1_000_000)
    listener.say(500_000)
    expect([dialer.isPaused, listener.isPaused]).toEqual([false, true])
    clock.advance(500)
    expect(listener.isPaused).toBe(false)
  })

  it('[L4] reads again only when both have passed, the other end’s queue and the rate', () => {
    const { clock, dialer, listener } = joined()
    listener.reads = false
    dialer.say(RELAY_RATE.burstBytes + RELAY_RATE.bytesPerSecond)
    clock.advance(1_000)
    expect(dialer.isPaused).toBe(true)
    listener.drain()
    expect(dialer.isPaused).toBe(false)
  })

  it('[L5] ends when it is idle, or wanted by no session, for six minutes; it is kept awake until then', () => {
    for (const unused of ['idle', 'unwanted']) {
      const { clock, dialer, listener, wanted, ended } = joined()
      wanted.value = unused === 'idle'
      const checks = Math.ceil(RELAY_IDLE_MS / RELAY_CHECK_MS)
      for (let check = 1; check < checks; check++) {
        if (unused === 'unwanted') dialer.say(1)
        clock.advance(RELAY_CHECK_MS)
      }
      expect([ended.length, dialer.pings, listener.pings]).toEqual([0, checks - 1, checks - 1])
      clock.advance(RELAY_CHECK_MS)
      expect(dialer.closed).toEqual({ code: 1008, reason: 'the relay was not used any more' })
    }
    const busy = joined()
    for (let check = 0; check < 60; check++) {
      busy.listener.say(1)
      busy.clock.advance(RELAY_CHECK_MS)
    }
    expect(busy.ended).toEqual([])
  })

  it('[L3] ends on a text, and with either end, once', () => {
    const texting = joined()
    texting.dialer.say(3, false)
    expect([texting.dialer.closed?.code, texting.listener.closed?.code]).toEqual([1003, 1003])
    const left = joined()
    left.listener.emit('close')
    left.dialer.emit('close')
    expect(left.dialer.closed).toEqual({ code: 1001, reason: 'the connection of the other peer to the relay ended' })
    expect(left.ended).toHaveLength(1)
    left.dialer.say(5)
    expect(left.listener.sent).toEqual([])
  })
})
