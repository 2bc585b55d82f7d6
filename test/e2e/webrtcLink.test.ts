/** Links over real WebRTC between real Chromium pages pass the suite that every link passes, and trust nobody on the way. */

import type { Page } from 'playwright-core'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { linkSuite } from '../../src/network/link.suite.ts'
import { LANES_MAX } from '../../src/network/stripedChannel.ts'
import { type PeerId, required } from '../../src/shared/index.ts'
import { type LinkPages, openLinkPages } from './linkPages.ts'

let pages: LinkPages

beforeAll(async () => {
  pages = await openLinkPages()
})
afterAll(() => pages?.close())

const start = (page: Page) =>
  page.evaluate((server) => globalThis.linkTest?.start(server) ?? Promise.reject(new Error('no page')), pages.signalling)
const dial = (page: Page, peerId: PeerId) => page.evaluate((id) => globalThis.linkTest?.dial(id), peerId)
const say = (page: Page, peerId: PeerId, byte: number) =>
  page.evaluate(([id, value]) => globalThis.linkTest?.say(id, value), [peerId, byte] as const)
const state = (page: Page) => page.evaluate(() => globalThis.linkTest?.state())
/** An id of its own for each test: a socket that is still closing belongs to no other. */
const nobody = (byte: string) => byte.repeat(16) as PeerId

describe('a WebRTC link', () => {
  let page: Page
  beforeAll(async () => {
    page = await pages.openPage()
  })
  afterAll(() => page.context().close())

  for (const { name } of linkSuite) {
    it(name, async () => {
      expect(await page.evaluate(([which, server]) => globalThis.linkTest?.runCase(which, server), [name, pages.signalling] as const)).toBe(
        'passed',
      )
    })
  }
})

describe.each([
  ['that workers have', 'nobody', 'channels channels'],
  ['that a worker has, to a browser that keeps its data channels on the page', 'listener', 'channels frames'],
  ['that a worker has, from a browser that keeps its data channels on the page', 'dialer', 'frames channels'],
] as const)('a WebRTC link %s', (_, refused, forms) => {
  let page: Page
  beforeAll(async () => {
    page = await pages.openPage()
  })
  afterAll(() => page.context().close())

  // Frames that pass a port are in the transport as fast as they leave the worker: they never wait for each other.
  const isBounded = forms.startsWith('channels')
  for (const { name } of linkSuite.filter((each) => isBounded || !each.name.startsWith('[F14]'))) {
    it(name, async () => {
      const outcome = await page.evaluate(([which, server, keeps]) => globalThis.linkTest?.runCaseInWorker(which, server, keeps), [
        name,
        pages.signalling,
        refused,
      ] as const)
      expect(outcome).toBe(`passed ${forms}`)
    })
  }
})

describe('peers in pages of their own', () => {
  it('[H1] reach each other, know how, and reuse the link that the other side dialed', async () => {
    const [a, b] = [await pages.openPage(), await pages.openPage()]
    const [idA, idB] = [await start(a), await start(b)]
    expect(await say(a, idB, 7)).toBe('webrtc true true')
    expect(await dial(b, idA)).toBe(`link to ${idA}`)
    await b.evaluate(() => globalThis.linkTest?.hearIncoming())
    await expect.poll(() => state(b)).toEqual({ heard: [7], ends: [], incoming: 1 })
    expect((await state(a))?.incoming).toBe(0)
    await Promise.all([a.context().close(), b.context().close()])
  })

  it('have one link when both dial at once, time and again', async () => {
    for (let round = 0; round < 5; round++) {
      const [a, b] = [await pages.openPage(), await pages.openPage()]
      const [idA, idB] = [await start(a), await start(b)]
      const twice = (page: Page, peerId: PeerId) => page.evaluate((id) => globalThis.linkTest?.dialTwice(id), peerId)
      expect(await Promise.all([twice(a, idB), twice(b, idA)])).toEqual([true, true])
      const states = await Promise.all([state(a), state(b)])
      expect(states.reduce((sum, { incoming } = { heard: [], ends: [], incoming: 0 }) => sum + incoming, 0)).toBe(1)
      await Promise.all([a.context().close(), b.context().close()])
    }
  })

  it('[F19] carry large frames over lanes that the dialer adds, whole and in order, and end together', async () => {
    const [a, b] = [await pages.openPage(), await pages.openPage()]
    const [idA, idB] = [await start(a), await start(b)]
    const connections = (page: Page) => page.evaluate(() => globalThis.linkTest?.connections())
    const send = (page: Page, peerId: PeerId, sizes: readonly number[]) =>
      page.evaluate(([id, wanted]) => globalThis.linkTest?.sendFrames(id, wanted), [peerId, sizes] as const)
    const heard: number[] = []
    const sendAll = async (sizes: readonly number[]) => {
      await send(a, idB, sizes)
      heard.push(...sizes)
    }
    await sendAll([1_000])
    expect(await dial(b, idA)).toBe(`link to ${idA}`)
    await b.evaluate(() => globalThis.linkTest?.hearSizes())
    // What fits a lane, and what the listener sends, adds none.
    await send(b, idA, [50_000])
    await expect.poll(() => b.evaluate(() => globalThis.linkTest?.sizes())).toEqual(heard)
    expect([await connections(a), await connections(b)]).toEqual([1, 1])
    await sendAll([100_000, 10, 4_600, 60_000])
    await expect.poll(() => sendAll([40_000]).then(() => connections(a)), { timeout: 30_000 }).toBe(LANES_MAX)
    await sendAll([262_144, 9, 13_800, 100_000, 1])
    await expect.poll(() => b.evaluate(() => globalThis.linkTest?.sizes())).toEqual(heard)
    expect([await connections(a), await connections(b)]).toEqual([LANES_MAX, LANES_MAX])
    await a.context().close()
    await expect.poll(async () => (await state(b))?.ends, { timeout: 60_000 }).toEqual([expect.stringMatching(/^(remote|lost)$/)])
    await b.context().close()
  })

  // A quarter of a minute: with the longer proofs. The same over connections in memory: carriedLink.test.ts.
  it.runIf(process.env.TABSWARM_LONG === '1')('[F19] [H12] do so between their workers too, and hear there how it ends', async () => {
    const [a, b] = [await pages.openPage(), await pages.openPage()]
    const startInWorker = (page: Page) => page.evaluate((server) => globalThis.linkTest?.start(server, 'worker'), pages.signalling)
    await startInWorker(a)
    const idB = required(await startInWorker(b), 'the id of b')
    const connections = (page: Page) => page.evaluate(() => globalThis.linkTest?.connections())
    const heardByB = () => b.evaluate(() => globalThis.linkTest?.heardInWorker())
    const sent: number[] = []
    const send = async (sizes: readonly number[]) => {
      sent.push(...sizes)
      await a.evaluate(([id, wanted]) => globalThis.linkTest?.sendFramesInWorker(id, wanted), [idB, sizes] as const)
    }
    await send([1_000])
    await expect.poll(heardByB).toEqual({ sizes: sent, ends: [] })
    await send([10, 4_600, 60_000])
    await expect.poll(() => send([40_000]).then(() => connections(a)), { timeout: 30_000 }).toBe(LANES_MAX)
    await send([262_144, 9, 13_800, 100_000, 1])
    await expect.poll(heardByB, { timeout: 10_000 }).toEqual({ sizes: sent, ends: [] })
    expect([await connections(a), await connections(b)]).toEqual([LANES_MAX, LANES_MAX])
    await a.context().close()
    await expect.poll(async () => (await heardByB())?.ends, { timeout: 60_000 }).toEqual([expect.stringMatching(/^(remote|lost)$/)])
    await b.context().close()
  })

  it('learn that a page was closed', async () => {
    const [a, b] = [await pages.openPage(), await pages.openPage()]
    await start(a)
    await say(a, await start(b), 1)
    await b.context().close()
    await expect.poll(async () => (await state(a))?.ends.length, { timeout: 60_000 }).toBe(1)
    await a.context().close()
  })

  it('[H3] refuse who took another peer’s id at the signalling server', async () => {
    const [a, impostor] = [await pages.openPage(), await pages.openPage()]
    const absent = nobody('ab')
    await start(a)
    await impostor.evaluate(([id, server]) => globalThis.linkTest?.startAs(id, server), [absent, pages.signalling] as const)
    expect(await dial(a, absent)).toMatch(/^handshake-failed: .*\[H3\]/)
    expect(await state(impostor)).toMatchObject({ incoming: 0 })
    await Promise.all([a.context().close(), impostor.context().close()])
  })

  it('[H9] refuse to answer who took another peer’s id', async () => {
    const [a, impostor] = [await pages.openPage(), await pages.openPage()]
    const [idA, absent] = [await start(a), nobody('cd')]
    await impostor.evaluate(([id, server]) => globalThis.linkTest?.startAs(id, server), [absent, pages.signalling] as const)
    expect(await dial(impostor, idA)).toMatch(/^handshake-failed: .*\[H9\]/)
    expect(await state(a)).toMatchObject({ incoming: 0 })
    await Promise.all([a.context().close(), impostor.context().close()])
  })

  it('are told in time that nobody has this id, and may stop waiting', async () => {
    const [a, absent] = [await pages.openPage(), nobody('ef')]
    await start(a)
    expect(await a.evaluate((id) => globalThis.linkTest?.cancelDial(id), absent)).toMatch(/^cancelled: /)
    expect(await dial(a, absent)).toMatch(/^unreachable: .*(not connected|no connection)/)
    await a.context().close()
  })

  it('speak to nobody but the page’s own server, and throw nothing', () => {
    expect(pages.foreign).toEqual([])
  })
})
