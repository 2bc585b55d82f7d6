/** What clients of the API have left here, sealed, and how far their batches are: what both databases must do alike. */

import { describe, expect, it } from 'vitest'
import type { BatchStatus, NewBatch, SealedObject } from '../../src/coordinator/store/index.ts'
import { required } from '../../src/shared/index.ts'
import { ALL, accountWorld, DAY_MS } from '../support/ledger/accountWorld.ts'
import { storeKinds } from '../support/ledger/stores.ts'

describe.each(storeKinds)('sealed objects on %s', (kind) => {
  const world = accountWorld(kind)
  let objects = 0

  const newKey = async () => {
    const account = await world().contact()
    return (await world().keys.create(account, 'k', ALL)).key
  }
  const object = (key: string, more: Partial<SealedObject> = {}): Omit<SealedObject, 'createdAtMs'> => ({
    id: `file-${objects++}`,
    key,
    kind: 'file',
    salt: 'salt',
    header: 'header',
    bytes: 10,
    expiresAtMs: world().clock.nowMs() + DAY_MS,
    ...more,
  })

  it('belong to one key, are read a few parts at a time, and are gone when they are removed', async () => {
    const { sealed } = world()
    const [mine, other] = [await newKey(), await newKey()]
    const parts = Array.from({ length: 20 }, (_, index) => `part ${index}`)
    const [added] = await sealed.add([object(mine.id)], parts)
    const { id } = required(added, 'an object')
    expect(await sealed.find(id, mine.id)).toEqual(added)
    expect(await sealed.find(id, other.id)).toBeNull()
    expect(await sealed.parts(id, 18, 5)).toEqual([
      { index: 18, sealed: 'part 18' },
      { index: 19, sealed: 'part 19' },
    ])
    expect(await sealed.parts(id, 0, 2)).toHaveLength(2)
    expect(await sealed.remove(id, other.id)).toBe(false)
    expect(await sealed.remove(id, mine.id)).toBe(true)
    expect([await sealed.find(id, mine.id), await sealed.parts(id, 0, 9)]).toEqual([null, []])
  })

  it('are gone at their time, also before anybody has removed them', async () => {
    const { sealed, clock, everything } = world()
    const { id: key } = await newKey()
    const [added] = await sealed.add([object(key)], ['x'])
    const { id } = required(added, 'an object')
    clock.advance(DAY_MS - 1)
    expect(await sealed.find(id, key)).not.toBeNull()
    clock.advance(1)
    expect(await sealed.find(id, key)).toBeNull()
    expect(await everything()).toContain(id)
    await sealed.forget()
    expect(await everything()).not.toContain(id)
  })

  it('are listed from either end, on from behind any, by kind, once they are whole', async () => {
    const { sealed, clock } = world()
    const { id: key } = await newKey()
    const ids: string[] = []
    for (let index = 0; index < 4; index++) {
      // Two at the same time.
      if (index % 2 === 0) clock.advance(1)
      ids.push(...(await sealed.add([object(key)])).map(({ id }) => id))
    }
    await sealed.add([object(key, { kind: 'response' }), object(key, { expiresAtMs: null })])
    const list = async (after: string | null, newestFirst: boolean, limit = 9) => {
      const found = await sealed.list(key, { kinds: ['file'], after, limit, newestFirst })
      return found.map(({ id }) => id)
    }
    expect(await list(null, false)).toEqual(ids)
    expect(await list(null, true)).toEqual([...ids].reverse())
    expect(await list(required(ids[1], 'an id'), false, 1)).toEqual([ids[2]])
    expect(await list(required(ids[1], 'an id'), true)).toEqual([ids[0]])
    expect(await list('file-of-none', true)).toEqual([])
  })

  it('of one key are bounded, in number and bytes', async () => {
    const { sealed } = world()
    const { id: key } = await newKey()
    const half = 64 * 1024 * 1024
    await sealed.add([object(key, { bytes: half })])
    await sealed.add([object(key, { bytes: half - 1 })])
    await expect(sealed.add([object(key, { bytes: 2 })])).rejects.toMatchObject({ reason: 'full' })
    await sealed.add([object(key, { bytes: 1 })])
    const { id: another } = await newKey()
    await sealed.add(Array.from({ length: 2_000 }, () => object(another)))
    await expect(sealed.add([object(another)])).rejects.toMatchObject({ reason: 'full' })
  })

  it('end with their key, and with its account', async () => {
    const { sealed, keys, accounts, exports } = world()
    const [one, two] = [await newKey(), await newKey()]
    const [first] = await sealed.add([object(one.id)])
    const [second] = await sealed.add([object(two.id)])
    const { records } = await exports.facts(one.account)
    expect(records).toMatchObject([{ sealed: [{ id: first?.id, key: one.id, kind: 'file', bytes: 10 }] }])
    await keys.revoke(one.id, null)
    await accounts.erase(two.account)
    expect([await sealed.find(first?.id ?? '', one.id), await sealed.find(second?.id ?? '', two.id)]).toEqual([null, null])
  })
})

describe.each(storeKinds)('batches on %s', (kind) => {
  const world = accountWorld(kind)
  let made = 0

  async function newBatch() {
    const { clock, keys, sealed, batches, contact } = world()
    const account = await contact()
    const { key } = await keys.create(account, 'k', ALL)
    const name = `batch_${made++}`
    const shared = { key: key.id, salt: 's', header: 'h', bytes: 0, expiresAtMs: null }
    const batch: NewBatch = {
      id: name,
      account,
      inputFile: `${name}-in`,
      outputFile: `${name}-out`,
      errorFile: `${name}-err`,
      endpoint: '/v1/chat/completions',
      pool: 'public',
      status: 'validating',
      times: {},
      endsAtMs: clock.nowMs() + DAY_MS,
      total: 2,
    }
    await batches.add(batch, [
      { ...shared, id: name, kind: 'batch' },
      { ...shared, id: batch.outputFile, kind: 'output' },
      { ...shared, id: batch.errorFile, kind: 'output' },
    ])
    const status = async (): Promise<BatchStatus | undefined> => (await batches.find(name, key.id))?.status
    return { batches, sealed, key: key.id, id: name, batch, status }
  }

  it('are one coordinator’s at a time, and another’s once it is silent', async () => {
    const { clock } = world()
    const { batches, id } = await newBatch()
    const untilMs = clock.nowMs() + 60_000
    expect(await batches.claim(id, 'one', untilMs)).toBe(1)
    expect(await batches.claim(id, 'two', untilMs)).toBeNull()
    expect(await batches.renew(id, 'two', untilMs)).toBeNull()
    expect(await batches.renew(id, 'one', untilMs + 60_000)).toBe('validating')
    clock.advance(119_999)
    expect(await batches.claim(id, 'two', untilMs)).toBeNull()
    clock.advance(1)
    expect(await batches.claim(id, 'two', clock.nowMs() + 60_000)).toBe(2)
    expect(await batches.renew(id, 'one', clock.nowMs() + 60_000)).toBeNull()
    await batches.release(id, 'two')
    expect(await batches.claim(id, 'one', clock.nowMs())).toBe(3)
  })

  it('go from state to state, each with its time, and end once', async () => {
    const { clock } = world()
    const { batches, id, key, status } = await newBatch()
    const beganMs = clock.nowMs()
    expect((await batches.unfinished()).map((one) => one.id)).toContain(id)
    expect(await batches.move(id, ['validating'], 'in_progress')).toBe(true)
    expect(await batches.move(id, ['validating'], 'failed')).toBe(false)
    clock.advance(5)
    expect(await batches.move(id, ['in_progress'], 'completed')).toBe(true)
    expect(await batches.find(id, key)).toMatchObject({ status: 'completed', times: { in_progress: beganMs, completed: beganMs + 5 } })
    expect((await batches.unfinished()).map((one) => one.id)).not.toContain(id)
    expect(await status()).toBe('completed')
  })

  it('have each answer once, in the file of its kind, and count them', async () => {
    const { batches, sealed, id, key, batch } = await newBatch()
    const answer = { sealed: 'x', bytes: 7 }
    expect(await batches.answer(id, { ...answer, index: 1, isFailed: false })).toBe(true)
    expect(await batches.answer(id, { ...answer, index: 0, isFailed: true })).toBe(true)
    await expect(batches.answer(id, { ...answer, index: 1, isFailed: false })).rejects.toThrow()
    expect(await batches.find(id, key)).toMatchObject({ completed: 1, failed: 1 })
    expect(await sealed.indexes([batch.outputFile, batch.errorFile])).toEqual(new Set([0, 1]))
    expect(await sealed.find(batch.outputFile, key)).toMatchObject({ bytes: 7 })
    expect(await batches.isInput(batch.inputFile)).toBe(true)
    await sealed.remove(id, key)
    expect(await batches.answer(id, { ...answer, index: 2, isFailed: false })).toBe(false)
    expect([await batches.find(id, key), await batches.isInput(batch.inputFile)]).toEqual([null, false])
  })
})
