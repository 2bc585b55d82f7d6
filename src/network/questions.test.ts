/** What a peer asks the coordinator: admissions, repairs, statements; which answer is whose, and how long it waits. */

import { describe, expect, it } from 'vitest'
import type { ServerMessage } from '../protocol/index.ts'
import type { PeerId, SessionId } from '../shared/index.ts'
import { controlWorld, MODEL_ID } from './controlClient.fixture.ts'
import { ADMIT_DEADLINE_MS } from './controlClient.ts'

const request = { modelId: MODEL_ID, promptTokens: 10, maxTokens: 5, tier: 'spot', waitMs: 5_000 } as const

/** A session over one stage. */
function admitted(requestId: string, peerId: PeerId, held: string | null = null): Extract<ServerMessage, { type: 'admitted' }> {
  const grant = { body: 'body', signature: 'signature' }
  return { type: 'admitted', requestId, grant, chain: [{ peerId, firstLayer: 0, endLayer: 30, engine: 'wasm', adapter: 'x' }], held }
}

describe('questions to the coordinator', () => {
  it('[C8] resolves an admission with its own answer, and rejects with the coordinator’s reason', async () => {
    const { client, goOnline, peerId } = await controlWorld()
    const socket = await goOnline()
    const [first, second] = [client.admit(request), client.admit(request)]
    const ids = socket
      .heard()
      .slice(1)
      .map((message) => (message as { requestId: string }).requestId)
    expect(new Set(ids).size).toBe(2)
    socket.say({ type: 'refused', requestId: ids[0] ?? '', reason: 'busy', message: 'come back later', retryAfterMs: 5 })
    const answer = admitted(ids[1] ?? '', peerId, '7')
    socket.say(answer)
    socket.say({ type: 'refused', requestId: 'unknown', reason: 'busy', message: '', retryAfterMs: null })
    await expect(first).rejects.toMatchObject({ reason: 'busy', message: 'come back later' })
    await expect(second).resolves.toMatchObject({ grant: answer.grant, chain: answer.chain, held: '7' })
  })

  it('[E11] asks for a part of a statement, which nothing but a statement answers', async () => {
    const { client, goOnline, peerId } = await controlWorld()
    const socket = await goOnline()
    const asked = client.statement('2027-01', 17)
    const [, message] = socket.heard() as { requestId: string }[]
    expect(message).toEqual({ type: 'statement', requestId: expect.any(String), month: '2027-01', cursor: 17 })
    const { requestId } = message ?? { requestId: '' }
    socket.say(admitted(requestId, peerId))
    const amounts = { available: '5', held: '0', escrow: '0', granted: '-2' }
    socket.say({ type: 'statement', requestId, month: '2027-01', opening: amounts, closing: amounts, lines: [], cursor: null })
    await expect(asked).resolves.toMatchObject({ type: 'statement', cursor: null, opening: amounts })
    const refused = client.statement('2027-01', null)
    const { requestId: other } = socket.heard().at(-1) as { requestId: string }
    socket.say({ type: 'refused', requestId: other, reason: 'too-many-statements', message: 'wait', retryAfterMs: 500 })
    await expect(refused).rejects.toMatchObject({ reason: 'too-many-statements', retryAfterMs: 500 })
  })

  it('[C8] gives an admission up at its deadline, when offline, and when the socket breaks', async () => {
    const { client, clock, goOnline } = await controlWorld()
    await expect(client.admit(request)).rejects.toMatchObject({ reason: 'offline' })
    const socket = await goOnline()
    const late = client.admit(request)
    // It may wait in the queue for as long as it said.
    clock.advance(request.waitMs + ADMIT_DEADLINE_MS)
    await expect(late).rejects.toMatchObject({ reason: 'timeout' })
    const broken = client.admit(request)
    socket.break()
    await expect(broken).rejects.toMatchObject({ reason: 'offline' })
  })

  it('[C34] hears of its own place in the queue, and gives that up when its asker does', async () => {
    const { client, goOnline, peerId } = await controlWorld()
    const socket = await goOnline()
    const places: number[] = []
    const stop = new AbortController()
    const asked = client.admit(request, { onQueued: (ahead) => places.push(ahead), signal: stop.signal })
    const { requestId } = socket.heard().at(-1) as { requestId: string }
    for (const [id, ahead] of [
      [requestId, 2],
      ['another', 7],
      [requestId, 0],
    ] as const)
      socket.say({ type: 'queued', requestId: id, ahead })
    expect(places).toEqual([2, 0])
    stop.abort()
    expect(socket.heard().at(-1)).toEqual({ type: 'withdraw', requestId })
    socket.say({ type: 'refused', requestId, reason: 'cancelled', message: 'taken back', retryAfterMs: null })
    await expect(asked).rejects.toMatchObject({ reason: 'cancelled' })
    // Too late: it had been answered, and whoever asked gets the answer.
    const late = client.admit(request, { signal: AbortSignal.abort() })
    const { requestId: other } = socket.heard().findLast((message) => (message as { type: string }).type === 'admit') as {
      requestId: string
    }
    socket.say(admitted(other, peerId))
    await expect(late).resolves.toMatchObject({ type: 'admitted' })
  })

  it('[C13] asks for a repair once over each socket until it is answered, and gives up when it is closed', async () => {
    const { client, clock, goOnline, peerId } = await controlWorld()
    const repair = { sessionId: 'a'.repeat(32) as SessionId, revision: 3, lostPeerIds: [peerId] }
    const repairsIn = (socket: { heard(): unknown[] }) =>
      socket.heard().filter((message) => (message as { type: string }).type === 'repair')
    const away = client.repair(repair)
    const first = await goOnline()
    expect(repairsIn(first)).toEqual([{ type: 'repair', requestId: expect.any(String), ...repair }])
    first.break()
    clock.advance(500)
    const second = await goOnline()
    expect(repairsIn(second)).toEqual(repairsIn(first))
    const { requestId } = repairsIn(second)[0] as { requestId: string }
    second.say(admitted(requestId, peerId))
    await expect(away).resolves.toMatchObject({ grant: { body: 'body' } })
    const unanswered = client.repair(repair)
    second.break()
    clock.advance(500)
    client.close()
    await expect(unanswered).rejects.toMatchObject({ reason: 'closed' })
    await expect(client.repair(repair)).rejects.toMatchObject({ reason: 'offline' })
  })
})
