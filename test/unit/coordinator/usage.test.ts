/** Usage of a real coordinator: whoever started it is told of each request to its API, with the driver in its own process. */

import { expect, it } from 'vitest'
import type { UsageEvent } from '../../../src/coordinator/gateway/index.ts'
import { startTestServer } from './serverWorld.ts'

it('a request that is cut off by the end of the coordinator is told of all the same', async () => {
  const told: UsageEvent[] = []
  const server = await startTestServer({ onUsage: (event) => told.push(event) })
  const url = (path: string) => new URL(path, server.url)
  const body = JSON.stringify({ model: server.modelId, messages: [{ role: 'user', content: 'Say hello' }] })
  // Nobody serves: it waits for a place.
  const asked = fetch(url('/v1/chat/completions'), { method: 'POST', headers: { 'content-type': 'application/json' }, body })
  const listed = async () => (await (await fetch(url('/v1/usage'))).json()).data.map(({ status }: { status: string }) => status)
  await expect.poll(listed, { timeout: 10_000 }).toEqual(['running'])
  expect(told).toEqual([])
  await server.close()
  await asked.catch(() => null)
  expect(told).toMatchObject([{ object: 'usage', status: 'failed', model: server.modelId, account: null, key: null, total_tokens: 0 }])
}, 30_000)
