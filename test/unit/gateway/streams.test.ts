/** The edges of server-sent events, byte by byte over a socket: silence, failures in mid-answer, clients that go away or do not read. */

import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { deferred } from '../../../src/shared/index.ts'
import { checkChunk } from './shapes.ts'
import { type GatewayWorld, KEY, MODEL, startGatewayWorld, until } from './world.ts'

let world: GatewayWorld
let sockets: Socket[]
beforeEach(async () => {
  world = await startGatewayWorld()
  sockets = []
})
afterEach(async () => {
  for (const socket of sockets) socket.destroy()
  await world.close()
})

interface RawAnswer {
  readonly socket: Socket
  /** All that has come: head and body. */
  text(): string
  /** The data of each event, checked; comments left out. */
  events(): string[]
  isOver(): boolean
}

async function ask(more: object = {}, { isRead = true } = {}): Promise<RawAnswer> {
  const socket = connect(world.port, '127.0.0.1')
  sockets.push(socket)
  await once(socket, 'connect')
  let text = ''
  let isOver = false
  socket.on('close', () => {
    isOver = true
  })
  socket.on('error', () => undefined)
  if (isRead)
    socket.setEncoding('utf8').on('data', (part: string) => {
      text += part
    })
  const body = JSON.stringify({ model: MODEL, messages: [{ role: 'user', content: 'Say hello' }], stream: true, ...more })
  const head = `POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer ${KEY}\r\nContent-Type: application/json\r\nConnection: close\r\n`
  socket.write(`${head}Content-Length: ${Buffer.byteLength(body)}\r\n\r\n${body}`)
  const events = () => {
    const found = [...text.matchAll(/^data: (.*)$/gm)].map(([, data]) => data ?? '')
    for (const data of found) checkChunk('/v1/chat/completions', data)
    return found
  }
  return { socket, text: () => text, events, isOver: () => isOver }
}

const silent = () => {
  world.driver.play = () => undefined
}

describe('a stream', () => {
  it('says nothing before its request is admitted, and then at once', async () => {
    silent()
    const answer = await ask()
    const asked = await world.driver.asked()
    world.clock.advance(20_000)
    await new Promise((resolve) => setTimeout(resolve, 50))
    expect(answer.text()).toBe('')
    asked.admit()
    await until(() => answer.events().length === 1)
    expect(answer.text()).toMatch(/^HTTP\/1\.1 200 OK\r\n/)
    expect(answer.text()).toMatch(/content-type: text\/event-stream/i)
    expect(answer.text()).toMatch(/x-request-id: req_/i)
    expect(answer.text()).toMatch(/x-content-type-options: nosniff/i)
  })

  it('waits for all of its choices', async () => {
    silent()
    const answer = await ask({ n: 2 })
    const [one, other] = [await world.driver.asked(0), await world.driver.asked(1)]
    one.admit()
    one.say('early')
    await new Promise((resolve) => setTimeout(resolve, 50))
    expect(answer.text()).toBe('')
    other.admit()
    await until(() => answer.events().length === 3)
    expect(answer.events().map((data) => JSON.parse(data).choices[0])).toMatchObject([
      { index: 0, delta: { role: 'assistant' } },
      { index: 1, delta: { role: 'assistant' } },
      { index: 0, delta: { content: 'early' } },
    ])
  })

  it('is kept alive by comments while nothing is said, and by none while something is', async () => {
    silent()
    const answer = await ask()
    const asked = await world.driver.asked()
    asked.admit()
    const comments = () => answer.text().match(/^: .*$/gm)?.length ?? 0
    for (let turn = 0; turn < 3; turn++) {
      world.clock.advance(9_999)
      asked.say('word')
    }
    await until(() => answer.events().length === 4)
    expect(comments()).toBe(0)
    world.clock.advance(9_999)
    world.clock.advance(1)
    await until(() => comments() === 1)
    world.clock.advance(10_000)
    await until(() => comments() === 2)
    asked.finish()
    await until(() => answer.isOver())
    world.clock.advance(100_000)
    expect(comments()).toBe(2)
    expect(answer.events().at(-1)).toBe('[DONE]')
  })

  it('that fails ends with an error chunk, never as if it were done', async () => {
    silent()
    const answer = await ask()
    const asked = await world.driver.asked()
    asked.admit()
    asked.say('Once')
    asked.fail('driver-lost', 'ask again')
    await until(() => answer.isOver())
    expect(JSON.parse(answer.events().at(-1) ?? '')).toMatchObject({ error: { code: 'driver-lost' } })
    expect(answer.text()).not.toContain('[DONE]')
  })

  it('that the driver stops by itself fails too', async () => {
    silent()
    const answer = await ask()
    const asked = await world.driver.asked()
    asked.admit()
    asked.finish('cancelled')
    await until(() => answer.isOver())
    expect(JSON.parse(answer.events().at(-1) ?? '')).toMatchObject({ error: { code: 'cut-off' } })
  })
})

describe('a client', () => {
  it.each([true, false])('that goes away stops the driver, and pays for no more; streamed: %s', async (stream) => {
    silent()
    const answer = await ask({ stream })
    const asked = await world.driver.asked()
    asked.admit()
    asked.say('Once')
    answer.socket.destroy()
    await until(() => asked.isStopped)
    await until(() => world.accounts.payments[0]?.isOver === true)
    asked.say('nobody hears it')
    expect(world.log).toEqual([])
  })

  it('that goes away while it waits leaves the queue', async () => {
    silent()
    const answer = await ask()
    const asked = await world.driver.asked()
    answer.socket.destroy()
    await until(() => asked.isStopped)
    await until(() => world.accounts.payments[0]?.isOver === true)
    expect(world.log).toEqual([])
  })

  it('that goes away while its key is looked up is asked nothing for', async () => {
    const lookUp = deferred<void>()
    world.accounts.lookUp = lookUp.promise
    const gone = await ask()
    await until(() => world.accounts.asked.length === 1)
    gone.socket.destroy()
    await new Promise((resolve) => setTimeout(resolve, 50))
    lookUp.resolve()
    const answer = await ask()
    await until(() => answer.isOver())
    expect([answer.events().at(-1), world.driver.asks.length, world.accounts.payments.length]).toEqual(['[DONE]', 1, 1])
    expect(world.log).toEqual([])
  })

  it('that is done stops nothing', async () => {
    const answer = await ask()
    await until(() => answer.isOver())
    expect(world.driver.asks.map(({ isStopped }) => isStopped)).toEqual([false])
  })

  it('that leaves more than a mebibyte unread is cut, its driver stopped, and others are not held up by it', async () => {
    silent()
    const answer = await ask({}, { isRead: false })
    answer.socket.pause()
    const asked = await world.driver.asked()
    asked.admit()
    // Far more than the system's own buffers of a loopback socket take.
    for (let word = 0; word < 1_000 && !asked.isStopped; word++) {
      asked.say('x'.repeat(64 * 1024))
      await new Promise((resolve) => setImmediate(resolve))
    }
    await until(() => asked.isStopped)
    world.driver.play = (other) => {
      other.admit()
      other.say('Hello')
      other.finish()
    }
    const other = await ask()
    await until(() => other.isOver())
    expect(other.events().at(-1)).toBe('[DONE]')
  })
})
