import { describe, expect, it } from 'vitest'
import { encodeFrame, type Frame, type Link, type LinkClosed, type LinkHandlers } from '../protocol/index.ts'
import { ManualClock, type PeerId, type SessionId, TabswarmError } from '../shared/index.ts'
import { LINK_KEEP_MS, LinkRouter } from './linkRouter.ts'

const peer = 'a'.repeat(32) as PeerId
const one = '1'.repeat(32) as SessionId
const two = '2'.repeat(32) as SessionId

class FakeLink implements Link {
  readonly peerId = peer
  handlers: LinkHandlers | null = null
  closed: LinkClosed | null = null

  listen(handlers: LinkHandlers): void {
    if (this.handlers !== null) throw new Error('a link is listened to once')
    this.handlers = handlers
  }
  send(): void {}
  stats() {
    return Promise.resolve({ kind: 'memory' as const, bytesSent: 0, bytesReceived: 0, roundTripMs: null })
  }
  close(closed: LinkClosed = { reason: 'local', detail: '' }): void {
    if (this.closed !== null) return
    this.closed = closed
    this.handlers?.onClose(closed)
  }
}

function setup() {
  const clock = new ManualClock()
  const dialed: FakeLink[] = []
  const router = new LinkRouter({
    clock,
    dial: async () => {
      const link = new FakeLink()
      dialed.push(link)
      return link
    },
  })
  const heard: string[] = []
  const attach = (sessionId: SessionId) =>
    router.attach(peer, sessionId, {
      onFrame: (frame: Frame) => heard.push(`${sessionId[0]} ${frame.type}`),
      onClose: ({ reason }) => heard.push(`${sessionId[0]} ${reason}`),
    })
  const deliver = (sessionId: SessionId) => dialed[0]?.handlers?.onFrame(encodeFrame({ type: 'close', sessionId }))
  return { clock, router, dialed, heard, attach, deliver }
}

describe('LinkRouter', () => {
  it('shares one link between sessions, also while it is being dialed, and gives each its frames', async () => {
    const { dialed, heard, attach, deliver } = setup()
    const [first] = await Promise.all([attach(one), attach(two)])
    expect(dialed).toHaveLength(1)
    deliver(two)
    deliver(one)
    first.detach()
    deliver(one)
    expect(heard).toEqual(['2 close', '1 close'])
  })

  it('tells every session when the link ends, and dials anew afterwards', async () => {
    const { dialed, heard, attach } = setup()
    await Promise.all([attach(one), attach(two)])
    dialed[0]?.close({ reason: 'lost', detail: 'cut' })
    expect(heard.sort()).toEqual(['1 lost', '2 lost'])
    await attach(one)
    expect(dialed).toHaveLength(2)
  })

  it('[F3] closes the link on bytes that are no frame', async () => {
    const { dialed, heard, attach } = setup()
    await attach(one)
    dialed[0]?.handlers?.onFrame(new Uint8Array(3))
    expect(dialed[0]?.closed?.reason).toBe('garbage')
    expect(heard).toEqual(['1 garbage'])
  })

  it('keeps an unused link for the next session, and not for ever', async () => {
    const { clock, dialed, attach } = setup()
    const first = await attach(one)
    first.detach()
    clock.advance(LINK_KEEP_MS - 1)
    const second = await attach(two)
    clock.advance(10 * LINK_KEEP_MS)
    expect(dialed).toHaveLength(1)
    expect(dialed[0]?.closed).toBeNull()
    second.detach()
    clock.advance(LINK_KEEP_MS)
    expect(dialed[0]?.closed?.reason).toBe('local')
  })

  it('forgets a dial that failed', async () => {
    let calls = 0
    const dial = async (): Promise<Link> => {
      calls++
      if (calls === 1) throw new TabswarmError('unreachable', 'nobody there')
      return new FakeLink()
    }
    const router = new LinkRouter({ clock: new ManualClock(), dial })
    const handlers = { onFrame: () => undefined, onClose: () => undefined }
    await expect(router.attach(peer, one, handlers)).rejects.toMatchObject({ reason: 'unreachable' })
    await router.attach(peer, one, handlers)
    expect(calls).toBe(2)
  })

  it('tells the statistics of a link that there is, and dials none for them', async () => {
    const { router, dialed, attach } = setup()
    expect(await router.stats(peer)).toBe(null)
    expect(dialed).toHaveLength(0)
    await attach(one)
    expect(await router.stats(peer)).toMatchObject({ kind: 'memory' })
    dialed[0]?.close()
    expect(await router.stats(peer)).toBe(null)
  })
})
