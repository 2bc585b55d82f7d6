/** Files with the `openai` package: what comes in sealed comes out as it was, to its own key alone, for a day. */

import OpenAI, { toFile } from 'openai'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { ask, StoredWorld } from './storedWorld.ts'

let stored: StoredWorld
beforeAll(async () => {
  stored = await StoredWorld.open()
})
afterAll(() => stored.close())
afterEach(() => {
  expect(stored.world.fetch.seen.faults).toEqual([])
})

const HOUR_MS = 3_600_000
const thrown = (work: PromiseLike<unknown>) =>
  Promise.resolve(work).then(
    () => null,
    (error: unknown) => error,
  )

async function post(fields: Readonly<Record<string, string | Blob>>) {
  const form = new FormData()
  for (const [name, value] of Object.entries(fields)) form.append(name, value)
  const headers = { authorization: `Bearer ${stored.key}` }
  const response = await stored.world.fetch(`${stored.world.baseUrl}/files`, { method: 'POST', headers, body: form })
  return { status: response.status, body: await response.json() }
}

describe('a file', () => {
  it('comes out as it came in, whatever its bytes and its length', async () => {
    // Parts of 192 KiB, and what is left.
    const bytes = crypto.getRandomValues(new Uint8Array(60_000))
    const content = Buffer.concat(Array.from({ length: 10 }, () => bytes))
    const file = await stored.client().files.create({ file: await toFile(content, 'größe.jsonl'), purpose: 'batch' })
    expect(file).toMatchObject({ bytes: 600_000, filename: 'größe.jsonl', purpose: 'batch', expires_at: file.created_at + 86_400 })
    expect(await stored.client().files.retrieve(file.id)).toEqual(file)
    const read = Buffer.from(await (await stored.client().files.content(file.id)).arrayBuffer())
    expect(read.equals(content)).toBe(true)
  })

  it('is its own key’s alone, and none of another key of the account', async () => {
    const { id } = await stored.upload([ask('one', 'x')])
    const other = stored.client(await stored.newKey())
    for (const work of [other.files.retrieve(id), other.files.content(id), other.files.delete(id)])
      expect(await thrown(work)).toMatchObject({ status: 404, code: 'not_found' })
    expect((await other.files.list()).data).toEqual([])
  })

  it('is gone at once when it is deleted, and else after a day', async () => {
    const [one, two] = [await stored.upload([ask('one', 'x')]), await stored.upload([ask('one', 'x')])]
    expect(await stored.client().files.delete(one.id)).toEqual({ id: one.id, object: 'file', deleted: true })
    expect(await thrown(stored.client().files.retrieve(one.id))).toBeInstanceOf(OpenAI.NotFoundError)
    stored.clock.advance(24 * HOUR_MS - 1)
    expect((await stored.client().files.retrieve(two.id)).id).toBe(two.id)
    stored.clock.advance(1)
    expect(await thrown(stored.client().files.retrieve(two.id))).toBeInstanceOf(OpenAI.NotFoundError)
  })

  it('is listed with others, page by page', async () => {
    const key = await stored.newKey()
    const client = stored.client(key)
    const ids: string[] = []
    for (let index = 0; index < 5; index++) {
      stored.clock.advance(1_000)
      ids.unshift((await stored.upload([ask('one', 'x')], client)).id)
    }
    const seen = []
    for await (const { id } of client.files.list({ limit: 2 })) seen.push(id)
    expect(seen).toEqual(ids)
    expect((await client.files.list({ order: 'asc', limit: 1 })).data.map(({ id }) => id)).toEqual([ids.at(-1)])
    expect((await client.files.list({ purpose: 'batch_output' })).data).toEqual([])
  })

  it('stands in the store sealed, with its name', async () => {
    const file = await toFile(Buffer.from('a text with zanzibarquux in it'), 'quaggaberry.jsonl')
    const { id } = await stored.client().files.create({ file, purpose: 'batch' })
    expect(await (await stored.client().files.content(id)).text()).toContain('zanzibarquux')
    await stored.stop()
    expect(stored.filesWith('zanzibarquux')).toEqual([])
    expect(stored.filesWith('quaggaberry')).toEqual([])
    expect(stored.filesWith(stored.key.slice(-43))).toEqual([])
    await stored.start()
    expect(await (await stored.client().files.content(id)).text()).toContain('zanzibarquux')
  })
})

describe('what is no file', () => {
  it.each<[string, number, string, Readonly<Record<string, string | Blob>>]>([
    ['another purpose', 400, 'purpose', { purpose: 'fine-tune', file: new File(['x'], 'x') }],
    ['no purpose', 400, 'purpose', { file: new File(['x'], 'x') }],
    ['no file', 400, 'file', { purpose: 'batch' }],
    ['a text in its place', 400, 'file', { purpose: 'batch', file: 'x' }],
    ['nothing in it', 400, 'file', { purpose: 'batch', file: new File([], 'x') }],
    ['a name without end', 400, 'file', { purpose: 'batch', file: new File(['x'], 'x'.repeat(256)) }],
    ['an end of its own', 400, 'expires_after', { purpose: 'batch', file: new File(['x'], 'x'), 'expires_after[anchor]': 'created_at' }],
    ['another field', 400, 'colour', { purpose: 'batch', file: new File(['x'], 'x'), colour: 'red' }],
  ])('is refused: %s', async (_what, status, param, fields) => {
    expect(await post(fields)).toMatchObject({ status, body: { error: { param } } })
  })

  it('is refused above 16 MiB', async () => {
    const bytes = 16 * 1024 * 1024
    expect((await post({ purpose: 'batch', file: new File([new Uint8Array(bytes)], 'x') })).status).toBe(200)
    expect(await post({ purpose: 'batch', file: new File([new Uint8Array(bytes + 1)], 'x') })).toMatchObject({ status: 413 })
    expect(await post({ purpose: 'batch', file: new File([new Uint8Array(bytes + 100_000)], 'x') })).toMatchObject({
      status: 413,
      body: { error: { code: 'body_too_large' } },
    })
  })

  it('is refused as a body of another type, and a form is no question', async () => {
    const send = (path: string, type: string, body: string) =>
      stored.world.fetch(`${stored.world.baseUrl}${path}`, {
        method: 'POST',
        headers: { authorization: `Bearer ${stored.key}`, 'content-type': type },
        body,
      })
    expect((await send('/files', 'application/json', '{}')).status).toBe(415)
    expect((await send('/files', 'multipart/form-data; boundary=x', '--y')).status).toBe(400)
    expect((await send('/files', 'multipart/form-data', 'x')).status).toBe(400)
    expect((await send('/chat/completions', 'multipart/form-data; boundary=x', '--x--')).status).toBe(415)
  })

  it('is removed for a client that says JSON and sends nothing, as Python’s does', async () => {
    const { id } = await stored.upload([ask('one', 'Hi')])
    const headers = { authorization: `Bearer ${stored.key}`, 'content-type': 'application/json' }
    const response = await stored.world.fetch(`${stored.world.baseUrl}/files/${id}`, { method: 'DELETE', headers })
    expect([response.status, await response.json()]).toEqual([200, { id, object: 'file', deleted: true }])
  })

  it('is refused to who has no key', async () => {
    expect(await thrown(stored.client('nothing').files.list())).toBeInstanceOf(OpenAI.AuthenticationError)
  })
})
