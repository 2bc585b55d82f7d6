/** What who runs a coordinator asks of it: whether it lives, whether it may be sent work, and its metrics, which not everybody may read. */

import { afterEach, describe, expect, it, vi } from 'vitest'
import { DEFAULT_STARTER_POLICY } from '../../../src/coordinator/accounts/index.ts'
import type { EconomyStore } from '../../../src/coordinator/economy/index.ts'
import type { GatewayStorage } from '../../../src/coordinator/gateway/index.ts'
import { deferred } from '../../../src/shared/index.ts'
import { startTestServer, type TestServer } from './serverWorld.ts'

let server: TestServer | null = null
afterEach(async () => {
  await server?.close()
  server = null
})

const get = (path: string, headers: Record<string, string> = {}) => fetch(new URL(path, server?.url), { headers })

describe('/readyz', () => {
  it('is ready while requests are taken, and not once it drains', async () => {
    server = await startTestServer()
    expect((await get('/readyz')).status).toBe(200)
    await server.drain()
    const ending = await get('/readyz')
    expect([ending.status, ending.headers.get('retry-after')]).toEqual([503, '5'])
    expect((await get('/healthz')).status).toBe(200)
  })

  it('is not ready before its store is open', async () => {
    const opening = deferred<EconomyStore & GatewayStorage>()
    opening.promise.catch(() => undefined)
    server = await startTestServer({
      economy: { store: opening.promise, starters: DEFAULT_STARTER_POLICY, reserveADay: 0n, verification: {} },
    })
    expect((await get('/readyz')).status).toBe(503)
    opening.reject(new Error('it never opens'))
  })
})

describe('an address under /v1 that there is not', () => {
  it.each([
    ['GET', '/v1/nothing', 404, 'unknown_url'],
    ['DELETE', '/v1/models', 405, 'method_not_allowed'],
    ['GET', '/v1/', 404, 'unknown_url'],
    ['GET', '/v1/%', 404, 'unknown_url'],
    ['POST', '/v1/chat/%E0%A4%A', 404, 'unknown_url'],
  ])('is refused in the form that clients read: %s %s', async (method, path, status, code) => {
    server = await startTestServer()
    const answer = await fetch(server.url.replace(/\/$/, '') + path, { method })
    expect(answer.status).toBe(status)
    expect(await answer.json()).toEqual({
      error: { message: expect.any(String), type: expect.any(String), param: null, code },
    })
  })
})

describe('/metrics', () => {
  it('counts requests by route and how they ended, swarms, and the process', async () => {
    server = await startTestServer()
    await get('/v1/models')
    await get('/v1/models/none')
    await get('/v1/nothing')
    // A request is over a moment after its answer has come.
    await vi.waitFor(async () => expect(await (await get('/metrics')).text()).toContain('unknown_url'))
    const answer = await get('/metrics')
    expect(answer.headers.get('content-type')).toMatch(/^text\/plain; version=0\.0\.4/)
    const text = await answer.text()
    expect(text).toContain('tabswarm_api_requests_total{method="GET",route="/v1/models",status="200",code=""} 1')
    expect(text).toContain('tabswarm_api_requests_total{method="GET",route="/v1/models/:id",status="404",code="model_not_found"} 1')
    expect(text).toContain('route="/v1/*",status="404",code="unknown_url"} 1')
    expect(text).toContain(`tabswarm_swarm_layers_covered{model="${server.modelId}"} 0`)
    expect(text).toContain('tabswarm_process_cpu_seconds_total')
    expect(text).toContain('tabswarm_api_answers_running 0')
  })

  it('are not for who comes through a proxy, unless a token is set', async () => {
    server = await startTestServer()
    const proxied = await get('/metrics', { 'x-forwarded-for': '203.0.113.7' })
    expect(proxied.status).toBe(403)
    expect(await proxied.json()).toMatchObject({ error: { message: expect.stringContaining('TABSWARM_METRICS_TOKEN') } })
  })

  it('are for who has the token alone, where one is set', async () => {
    server = await startTestServer({ metricsToken: 'open sesame' })
    expect((await get('/metrics')).status).toBe(401)
    expect((await get('/metrics', { authorization: 'Bearer open' })).status).toBe(401)
    expect((await get('/metrics', { authorization: 'Bearer open sesame', 'x-forwarded-for': '203.0.113.7' })).status).toBe(200)
  })
})
