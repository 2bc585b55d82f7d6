import { once } from 'node:events'
import { createServer, type Server, type ServerResponse } from 'node:http'
import { type AddressInfo, connect, type Socket } from 'node:net'
import { afterEach, beforeEach, expect, it } from 'vitest'
import { ManualClock, required } from '../../shared/index.ts'
import { EventStream } from './eventStream.ts'

let server: Server
let client: Socket
let response: ServerResponse
let clock: ManualClock
let stream: EventStream

beforeEach(async () => {
  server = createServer()
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  client = connect((server.address() as AddressInfo).port, '127.0.0.1')
  client.on('error', () => undefined)
  const requested = once(server, 'request')
  client.write('GET / HTTP/1.1\r\nHost: localhost\r\n\r\n')
  response = required((await requested)[1] as ServerResponse, 'an answer')
  clock = new ManualClock()
  stream = new EventStream(response, {}, clock)
})
afterEach(() => {
  client.destroy()
  server.close()
})

const turn = () => new Promise((resolve) => setImmediate(resolve))

/** Until the system takes no more of it, with far less unread than would be cut at once. */
async function fill(): Promise<void> {
  for (let words = 0; words < 2_000; words++) {
    stream.send('x'.repeat(32 * 1024))
    for (let wait = 0; wait < 5 && response.writableLength > 0; wait++) await turn()
    if (response.writableLength > 128 * 1024) return
  }
  throw new Error('the system took 64 MB that nobody read')
}

it('cuts who has read nothing for a minute, and not before', async () => {
  client.pause()
  await fill()
  clock.advance(50_000)
  expect(response.destroyed).toBe(false)
  clock.advance(10_000)
  expect(response.destroyed).toBe(true)
})

it('leaves who reads again alone', async () => {
  client.pause()
  await fill()
  clock.advance(50_000)
  client.resume()
  await expect.poll(() => response.writableLength).toBe(0)
  clock.advance(50_000)
  expect(response.destroyed).toBe(false)
})

it('writes nothing once it has ended, or its client is gone', async () => {
  client.destroy()
  await expect.poll(() => response.destroyed).toBe(true)
  stream.send('nobody')
  clock.advance(60_000)
  stream.end()
  await turn()
  expect(response.writableEnded).toBe(false)
})
