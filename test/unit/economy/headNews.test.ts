/** The ledger's head, told to all. */

import { expect, it } from 'vitest'
import { fundedWorld } from './fundedWorld.ts'

const head = (size: number) => ({ size, root: 'a'.repeat(64), atMs: 0, publicKey: 'k', signature: 's' })

it('[E16] is told who comes, and everybody when it has changed, with what leads from the one before; every 30 s at most', async () => {
  const made = await fundedWorld()
  await made.wait(60_000)
  expect(made.messages('head')).toEqual([])
  made.store.head = head(5)
  await made.wait(31_000)
  expect(made.messages('head', 'a')).toEqual([{ type: 'head', head: head(5), from: null, path: [] }])
  expect(made.messages('head', 'driver')).toHaveLength(1)
  await made.join(['late'])
  expect(made.messages('head', 'late')).toEqual([{ type: 'head', head: head(5), from: null, path: [] }])
  await made.wait(60_000)
  expect(made.messages('head', 'a')).toHaveLength(1)
  for (let size = 6; size <= 12; size++) {
    made.store.head = head(size)
    await made.wait(5_000)
  }
  const later = made.messages('head', 'late').slice(1)
  expect(later.length).toBeLessThanOrEqual(2)
  expect(later[0]).toMatchObject({ from: 5, path: ['5', `${later[0]?.head.size}`] })
  expect(made.messages('head', 'a').slice(1)).toEqual(later)
})
