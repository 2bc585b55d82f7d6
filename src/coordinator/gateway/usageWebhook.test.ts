import { expect, it } from 'vitest'
import { ManualClock, required } from '../../shared/index.ts'
import type { UsageEvent } from './usageRecords.ts'
import { keyOf, signatureOf, UsageWebhook } from './usageWebhook.ts'

const SECRET = 'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw'
const event = (index: number) => ({ object: 'usage', request_id: `req_${index}` }) as unknown as UsageEvent

interface Heard {
  readonly id: string
  readonly headers: Headers
  readonly body: string
  readonly requests: readonly string[]
}

/** A webhook, and who hears it: `answer` gives a status, or null for a line that breaks. */
function world(answer: (heard: readonly Heard[]) => number | null | Promise<number | null> = () => 204) {
  const clock = new ManualClock()
  clock.advance(1_614_265_330_000)
  const heard: Heard[] = []
  const log: string[] = []
  let ids = 0
  const send = async (_url: string, init: RequestInit) => {
    const headers = new Headers(init.headers)
    const body = String(init.body)
    const requests = JSON.parse(body).data.map(({ request_id: id }: { request_id: string }) => id)
    heard.push({ id: headers.get('webhook-id') ?? '', headers, body, requests })
    const gone = new Promise<never>((_, reject) => init.signal?.addEventListener('abort', () => reject(new Error('aborted'))))
    const status = await Promise.race([answer(heard), gone])
    if (status === null) throw new TypeError('the line broke')
    return new Response(null, { status })
  }
  const randomBytes = (count: number) => new Uint8Array(count).fill(ids++)
  const options = {
    url: 'https://siem.example/usage',
    secret: SECRET,
    send,
    clock,
    randomBytes,
    log: (line: string) => void log.push(line),
  }
  return { clock, heard, log, options, webhook: new UsageWebhook(options) }
}

const turns = async () => {
  for (let turn = 0; turn < 50; turn++) await Promise.resolve()
}

it('signs as the standard’s own example is signed', () => {
  const signed = 'msg_p5jXN8AQM9LWM0D4loKWxJek.1614265330.{"test": 2432232314}'
  expect(signatureOf(keyOf(SECRET), signed)).toBe('v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=')
})

it('delivers each event once where it is heard, signed over its id, its time and its body', async () => {
  const { webhook, heard } = world()
  webhook.push(event(1))
  webhook.push(event(2))
  await turns()
  expect(heard.map(({ requests }) => requests)).toEqual([['req_1'], ['req_2']])
  const { id, headers, body } = required(heard[0], 'a delivery')
  expect(headers.get('webhook-timestamp')).toBe('1614265330')
  expect(headers.get('webhook-signature')).toBe(signatureOf(keyOf(SECRET), `${id}.1614265330.${body}`))
  expect(new Set(heard.map((one) => one.id)).size).toBe(2)
})

it.each([500, 429, 404, 301, null])('tries again under the same id, later each time, until it is heard: %s', async (status) => {
  const { webhook, heard, clock } = world(({ length }) => (length <= 3 ? status : 200))
  webhook.push(event(1))
  await turns()
  for (const [waitMs, tries] of [
    [1_000, 1],
    [2_000, 2],
    [4_000, 3],
  ] as const) {
    clock.advance(waitMs - 1)
    await turns()
    expect(heard).toHaveLength(tries)
    clock.advance(1)
    await turns()
    expect(heard).toHaveLength(tries + 1)
  }
  clock.advance(3_600_000)
  await turns()
  expect(heard).toHaveLength(4)
  expect(new Set(heard.map(({ id, body }) => id + body)).size).toBe(1)
})

it('does not wait for an answer for longer than ten seconds', async () => {
  const { webhook, heard, clock } = world(({ length }) => (length === 1 ? new Promise(() => undefined) : 200))
  webhook.push(event(1))
  clock.advance(9_999)
  await turns()
  clock.advance(1)
  await turns()
  clock.advance(1_000)
  await turns()
  expect(heard).toHaveLength(2)
})

it('holds ten thousand events while nobody answers, the newest, says so once, and sends a hundred at once', async () => {
  let isUp = false
  const { webhook, heard, clock, log } = world(() => (isUp ? 200 : 503))
  for (let index = 0; index < 10_101; index++) webhook.push(event(index))
  await turns()
  isUp = true
  clock.advance(1_000)
  for (let round = 0; round < 200; round++) await turns()
  const taken = heard.slice(1).flatMap(({ requests }) => requests)
  // The first was on its way already, alone.
  expect([taken.length, taken[0], taken[1], taken.at(-1)]).toEqual([10_001, 'req_0', 'req_101', 'req_10100'])
  expect(Math.max(...heard.map(({ requests }) => requests.length))).toBe(100)
  expect(log).toHaveLength(1)
})

it('tries once more when it is closed, and says what was not delivered', async () => {
  const { webhook, heard, log } = world(() => 503)
  webhook.push(event(1))
  await turns()
  webhook.push(event(2))
  await webhook.close()
  expect(heard).toHaveLength(2)
  expect(log.join()).toContain('2 events were not delivered')
})

it('delivers all that waits when it is closed, where it is heard again', async () => {
  const { webhook, heard, log } = world(({ length }) => (length === 1 ? 503 : 200))
  webhook.push(event(1))
  await turns()
  webhook.push(event(2))
  await webhook.close()
  expect([heard.slice(1).map(({ requests }) => requests), log]).toEqual([[['req_1'], ['req_2']], []])
})

it.each([
  ['url', 'ftp://siem.example'],
  ['url', 'siem'],
  ['secret', 'whsec_c2hvcnQ='],
  ['secret', 'MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw'],
])('refuses a %s that is none: %s', (name, value) => {
  const { options } = world()
  expect(() => new UsageWebhook({ ...options, [name]: value })).toThrow(expect.objectContaining({ reason: 'bad-webhook' }))
})
