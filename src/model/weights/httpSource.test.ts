import { describe, expect, it } from 'vitest'
import { ManualClock } from '../../shared/index.ts'
import type { FetchLike, HttpResponse } from './http.ts'
import { type HttpSourceOptions, httpWeightSource, openHttpModelFile } from './httpSource.ts'

const never = new AbortController().signal
const file = Uint8Array.from({ length: 1_000 }, (_, index) => index % 251)
const url = 'https://models.example/tiny.gguf'

/** Sends `bytes` in chunks; `breakAfter` bytes the connection breaks, or falls silent. */
function response(
  status: number,
  headers: Record<string, string>,
  bytes: Uint8Array,
  end: 'done' | 'broken' | 'silent' = 'done',
): HttpResponse {
  let at = 0
  return {
    status,
    headers: { get: (name) => headers[name] ?? null },
    body: {
      getReader: () => ({
        read: async () => {
          if (at < bytes.length) {
            const value = bytes.subarray(at, at + 64)
            at += 64
            return { done: false, value }
          }
          if (end === 'broken') throw new Error('connection reset')
          if (end === 'silent') return new Promise(() => undefined)
          return { done: true }
        },
        cancel: async () => undefined,
      }),
    },
  }
}

/** A server with ranges whose answers break after `limits[n]` bytes; requested ranges are kept. */
function server(limits: readonly { bytes: number; end: 'broken' | 'silent' | 'done' }[] = []) {
  const ranges: string[] = []
  const fetch: FetchLike = async (_, init) => {
    const range = init.headers.range ?? ''
    const [first = 0, last = 0] = range.replace('bytes=', '').split('-').map(Number)
    const limit = limits[ranges.length]
    ranges.push(range)
    const bytes = file.subarray(first, Math.min(last + 1, file.length))
    const headers = { 'content-range': `bytes ${first}-${last}/${file.length}` }
    return limit === undefined ? response(206, headers, bytes) : response(206, headers, bytes.subarray(0, limit.bytes), limit.end)
  }
  return { fetch, ranges }
}

/** A source on a clock of its own, which runs as soon as everybody waits. */
function source(fetch: FetchLike, options: Partial<HttpSourceOptions> = {}) {
  const clock = new ManualClock()
  return { clock, source: httpWeightSource({ url, fetch, clock, ...options }) }
}

/** Lets time pass until `work` is settled. */
async function settle<T>(clock: ManualClock, work: Promise<T>): Promise<T> {
  let settled = false
  const done = () => {
    settled = true
  }
  work.then(done, done)
  for (let round = 0; !settled && round < 10_000; round++) {
    for (let tick = 0; tick < 20; tick++) await Promise.resolve()
    await new Promise((resolve) => setImmediate(resolve))
    if (!settled) clock.advance(250)
  }
  expect(settled, 'still waiting after 2,500 seconds').toBe(true)
  return work
}

describe('httpWeightSource', () => {
  it('asks for exactly the range and gives its bytes', async () => {
    const { fetch, ranges } = server()
    const { source: weights } = source(fetch)
    expect(await weights.read({ byteOffset: 100, byteLength: 300 }, never)).toEqual(file.slice(100, 400))
    expect(ranges).toEqual(['bytes=100-399'])
  })

  it('goes on from the byte where an answer broke, or fell silent', async () => {
    const { fetch, ranges } = server([
      { bytes: 128, end: 'broken' },
      { bytes: 64, end: 'silent' },
      { bytes: 10, end: 'done' },
    ])
    const { clock, source: weights } = source(fetch)
    expect(await settle(clock, weights.read({ byteOffset: 0, byteLength: 500 }, never))).toEqual(file.slice(0, 500))
    expect(ranges).toEqual(['bytes=0-499', 'bytes=128-499', 'bytes=192-499', 'bytes=202-499'])
  })

  it('gives up after some tries without a byte, and says why', async () => {
    let tries = 0
    const { clock, source: weights } = source(async () => {
      tries++
      throw new Error('getaddrinfo ENOTFOUND')
    })
    await expect(settle(clock, weights.read({ byteOffset: 0, byteLength: 10 }, never))).rejects.toMatchObject({
      reason: 'download-failed',
      message: expect.stringContaining('ENOTFOUND'),
    })
    expect(tries).toBe(5)
  })

  it('gives up on a server that never answers', async () => {
    const { clock, source: weights } = source(() => new Promise(() => undefined))
    await expect(settle(clock, weights.read({ byteOffset: 0, byteLength: 10 }, never))).rejects.toMatchObject({
      reason: 'download-failed',
      message: expect.stringContaining('nothing came for 15 s'),
    })
  })

  it('tries again after 503, not after 404', async () => {
    let answers = [503, 503]
    const { fetch } = server()
    const { clock, source: weights } = source(async (address, init) => {
      const status = answers.shift()
      return status === undefined ? fetch(address, init) : response(status, {}, new Uint8Array(0))
    })
    expect(await settle(clock, weights.read({ byteOffset: 0, byteLength: 10 }, never))).toEqual(file.slice(0, 10))
    answers = [404]
    await expect(settle(clock, weights.read({ byteOffset: 0, byteLength: 10 }, never))).rejects.toMatchObject({
      message: expect.stringContaining('404'),
    })
  })

  it('cuts the part out of a small file from a server that ignores ranges', async () => {
    const { source: weights } = source(async () => response(200, { 'content-length': '1000' }, file))
    expect(await weights.read({ byteOffset: 900, byteLength: 100 }, never)).toEqual(file.slice(900))
  })

  const refused: [string, HttpResponse, string, RegExp][] = [
    ['a whole large file', response(200, { 'content-length': '98362432' }, file), 'no-ranges', /sends the whole file/],
    ['a whole file of unknown length', response(200, {}, file), 'no-ranges', /sends the whole file/],
    ['a compressed answer', response(206, { 'content-encoding': 'gzip' }, file), 'no-ranges', /compressed \(gzip\)/],
    ['another range', response(206, { 'content-range': 'bytes 5-9/1000' }, file), 'no-ranges', /bytes 5-9/],
    ['a file that is too short', response(206, { 'content-range': 'bytes 0-4/5' }, file), 'truncated', /only 5 bytes/],
  ]
  it.each(refused)('refuses %s, at once', async (_, answer, reason, message) => {
    const { source: weights } = source(async () => answer)
    await expect(weights.read({ byteOffset: 0, byteLength: 10 }, never)).rejects.toMatchObject({
      reason,
      message: expect.stringMatching(message),
    })
  })

  it('refuses a file whose length has changed', async () => {
    const { source: weights } = source(server().fetch, { fileBytes: 999 })
    await expect(weights.read({ byteOffset: 0, byteLength: 10 }, never)).rejects.toThrow(/has changed/)
  })

  it('stops when it is told to, also while it waits to try again', async () => {
    const stop = new AbortController()
    const { source: weights } = source(async () => {
      queueMicrotask(() => stop.abort())
      throw new Error('down')
    })
    await expect(weights.read({ byteOffset: 0, byteLength: 10 }, stop.signal)).rejects.toMatchObject({ reason: 'aborted' })
  })
})

describe('openHttpModelFile', () => {
  it('learns the length from the first answer', async () => {
    const { fetch, ranges } = server()
    const opened = await openHttpModelFile({ url, fetch, clock: new ManualClock() }, never)
    expect(opened.byteLength).toBe(1_000)
    expect(ranges).toEqual(['bytes=0-0'])
    expect(await opened.read({ byteOffset: 990, byteLength: 10 }, never)).toEqual(file.slice(990))
  })

  it('refuses a server that does not tell it', async () => {
    const fetch: FetchLike = async () => response(206, { 'content-range': 'bytes 0-0/*' }, file.subarray(0, 1))
    await expect(openHttpModelFile({ url, fetch, clock: new ManualClock() }, never)).rejects.toMatchObject({ reason: 'no-ranges' })
  })
})
