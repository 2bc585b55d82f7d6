/** Rows of audits over HTTP: who has the token gets what is behind the path, once; nobody else anything. */

import fastify, { type FastifyInstance } from 'fastify'
import { afterEach, describe, expect, it } from 'vitest'
import { AuditExchange, type Errand } from '../../../src/coordinator/audits/index.ts'
import { registerAuditRoutes } from '../../../src/coordinator/server/auditRoutes.ts'

const apps: FastifyInstance[] = []
afterEach(async () => {
  for (const app of apps.splice(0)) await app.close()
})

/** A ticket of an errand, and what came of it. */
async function open(errand: Partial<Errand> = {}) {
  const exchange = new AuditExchange((count) => crypto.getRandomValues(new Uint8Array(count)))
  const app = fastify({ bodyLimit: 16 })
  apps.push(app)
  registerAuditRoutes(app, exchange)
  const brought: Uint8Array[] = []
  let refusals = 0
  const ticket = exchange.open({
    task: null,
    bytesMax: 40,
    onBrought: (bytes) => void brought.push(bytes),
    onRefused: () => {
      refusals++
    },
    ...errand,
  })
  if (ticket === null) throw new Error('no room for the first ticket')
  const ask = async (method: 'GET' | 'PUT' | 'DELETE', body?: Uint8Array, token = ticket.token, path = ticket.path) => {
    const headers = { authorization: `Bearer ${token}`, ...(body === undefined ? {} : { 'content-type': 'application/octet-stream' }) }
    return app.inject({ method, url: path, headers, ...(body === undefined ? {} : { payload: Buffer.from(body) }) })
  }
  return { exchange, ticket, ask, brought, refusals: () => refusals }
}

describe('rows of audits over HTTP', () => {
  it('[V21] a task is fetched, and rows are brought once, with the token alone', async () => {
    const { ask, brought, ticket } = await open({ task: Uint8Array.of(1, 2, 3) })
    expect((await ask('GET')).rawPayload).toEqual(Buffer.of(1, 2, 3))
    expect((await ask('GET', undefined, 'another')).statusCode).toBe(404)
    expect((await ask('PUT', Uint8Array.of(9), '')).statusCode).toBe(404)
    expect((await ask('PUT', Uint8Array.of(9), ticket.token, '/audits/other')).statusCode).toBe(404)
    expect(brought).toEqual([])
    expect((await ask('PUT', new Uint8Array(40).fill(7))).statusCode).toBe(204)
    expect((await ask('PUT', new Uint8Array(40).fill(8))).statusCode).toBe(404)
    expect(brought.map((bytes) => [...bytes])).toEqual([Array(40).fill(7)])
  })

  it('[V21] more than its shape is refused, and what is refused is not used up', async () => {
    const { ask, brought } = await open()
    expect((await ask('GET')).statusCode).toBe(404)
    expect((await ask('PUT', new Uint8Array(41))).statusCode).toBe(413)
    expect((await ask('PUT', new Uint8Array(40))).statusCode).toBe(204)
    expect(brought).toHaveLength(1)
  })

  it('[V21] who won’t do it says so, once; a closed ticket is nobody’s', async () => {
    const { ask, refusals, exchange, ticket } = await open({ task: Uint8Array.of(1) })
    expect((await ask('DELETE')).statusCode).toBe(204)
    expect((await ask('DELETE')).statusCode).toBe(404)
    expect(refusals()).toBe(1)
    expect(exchange.bytes).toBe(41)
    ticket.close()
    ticket.close()
    expect(exchange.bytes).toBe(0)
    expect((await ask('GET')).statusCode).toBe(404)
  })

  it('tickets have so many bytes together', async () => {
    const { exchange } = await open()
    const large = { task: null, bytesMax: 64 * 1024 * 1024, onBrought: () => undefined, onRefused: () => undefined }
    const tickets = [1, 2, 3, 4].map(() => exchange.open(large))
    expect(tickets.map((ticket) => ticket === null)).toEqual([false, false, false, true])
    tickets[0]?.close()
    expect(exchange.open(large)).not.toBeNull()
  })
})
