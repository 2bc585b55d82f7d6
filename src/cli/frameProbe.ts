/**
 * FrameProbe: when each frame passed which place of a tab, told by the browser's own calls, which are wrapped from outside: nothing in the
 * app knows of it. For `bench swarm`. Clocks of tabs may differ by a little: differences between two of them mean something around a whole
 * lap only, where the error cancels out.
 */

import type { RequesterTab, VolunteerTab } from '../node/index.ts'
import { BUNDLE_MAGIC, decodeFrame, type Frame } from '../protocol/index.ts'

/**
 * Of a message: it was given to the data channel, or came from it, in the worker or on the page. Of a frame that travels between page and
 * worker: the page posted it, the worker took it; the worker posted one, the page took that.
 */
export type FramePoint = 'send' | 'receive' | 'page-post' | 'worker-take' | 'worker-post' | 'page-take'

export interface FrameEvent {
  readonly point: FramePoint
  /** Since the epoch. */
  readonly atMs: number
  /** On the wire: of the frame, of several in one message with the length before it, or of what is no whole frame. */
  readonly bytes: number
  /** Rows and results with empty payloads; null for what is no whole frame. */
  readonly frame: Frame | null
}

interface RawEvent {
  readonly point: FramePoint
  readonly atMs: number
  readonly bytes: number
  readonly frameBytes: number
  readonly start: readonly number[]
}

/** Bytes kept of a frame: a header, or a small one as a whole. */
const KEPT_BYTES = 256

/** Runs in pages before their own script, and in workers before they have a link. */
export const FRAME_PROBE = `{
  const inPage = typeof document !== 'undefined'
  const events = []
  globalThis.takeFrameEvents = () => events.splice(0).map((event) => ({ ...event, start: [...event.start] }))
  const nowMs = () => performance.timeOrigin + performance.now()
  const note = (point, atMs, data) => {
    if (typeof data === 'string') return
    const message = data instanceof ArrayBuffer ? new Uint8Array(data) : data
    const { byteLength } = message
    const add = (bytes, at, frameBytes) =>
      events.push({ point, atMs, bytes, frameBytes, start: message.slice(at, at + Math.min(frameBytes, ${KEPT_BYTES})) })
    if (message[0] !== ${BUNDLE_MAGIC[0]} || message[1] !== ${BUNDLE_MAGIC[1]}) return add(byteLength, 0, byteLength)
    // Those that begin in a bundle's later slices are not seen.
    const view = new DataView(message.buffer, message.byteOffset, byteLength)
    for (let at = ${BUNDLE_MAGIC.length}; at + 4 < byteLength; ) {
      const frameBytes = view.getUint32(at, true)
      const end = at + 4 + frameBytes
      add(Math.min(end, byteLength) - at, at + 4, frameBytes)
      at = end
    }
  }

  const { postMessage } = MessagePort.prototype
  MessagePort.prototype.postMessage = function (message, ...rest) {
    if (message?.kind === 'frame') note(inPage ? 'page-post' : 'worker-post', nowMs(), message.frame)
    return postMessage.call(this, message, ...rest)
  }
  const { get, set } = Object.getOwnPropertyDescriptor(MessagePort.prototype, 'onmessage')
  Object.defineProperty(MessagePort.prototype, 'onmessage', {
    configurable: true,
    get,
    set(handler) {
      set.call(this, (event) => {
        const atMs = nowMs()
        if (event.data?.kind === 'frame') note(inPage ? 'page-take' : 'worker-take', atMs, event.data.frame)
        handler.call(this, event)
      })
    },
  })

  if (globalThis.RTCDataChannel !== undefined) {
    const { send } = RTCDataChannel.prototype
    RTCDataChannel.prototype.send = function (data) {
      note('send', nowMs(), data)
      return send.call(this, data)
    }
    // Of frames: one listener handles them, in the worker or on the page.
    const { addEventListener } = RTCDataChannel.prototype
    RTCDataChannel.prototype.addEventListener = function (type, listener, ...options) {
      if (type === 'message') addEventListener.call(this, type, ({ data }) => note('receive', nowMs(), data))
      return addEventListener.call(this, type, listener, ...options)
    }
  }

  if (inPage) {
    const channels = new Set()
    globalThis.closeDataChannels = () => channels.forEach((channel) => channel.close())
    const watch = (channel) => {
      channels.add(channel)
      channel.addEventListener('close', () => channels.delete(channel))
      return channel
    }
    globalThis.RTCPeerConnection = class extends RTCPeerConnection {
      constructor(...options) {
        super(...options)
        this.addEventListener('datachannel', ({ channel }) => watch(channel))
      }
      createDataChannel(...options) {
        return watch(super.createDataChannel(...options))
      }
    }
  }
}`

/** Puts the probe into a serving tab's engine worker; its page has it as initScript. */
export async function probeWorker(tab: VolunteerTab): Promise<void> {
  await engineWorkerOf(tab)?.evaluate(FRAME_PROBE)
}

/** Ends the tab's links; the next session makes new ones. */
export async function closeLinks({ page }: Pick<RequesterTab, 'page'>): Promise<void> {
  await page.evaluate('globalThis.closeDataChannels()')
}

/** What has passed the tab since the last call, in order within the page and within its worker. */
export async function takeFrameEvents(tab: Pick<RequesterTab, 'page'>): Promise<FrameEvent[]> {
  // Not in a worker that only drafts, where no frames pass.
  const take = 'globalThis.takeFrameEvents?.() ?? []'
  const taken = await Promise.all([
    tab.page.evaluate<readonly RawEvent[]>(take),
    engineWorkerOf(tab)?.evaluate<readonly RawEvent[]>(take) ?? [],
  ])
  return taken.flat().map(({ start, frameBytes, ...event }) => ({ ...event, frame: frameOf(start, frameBytes) }))
}

/** Threads of the engine without a GPU are workers too, which wait for work and answer nobody. */
export function engineWorkerOf({ page }: Pick<RequesterTab, 'page'>) {
  return page.workers().find((worker) => worker.url().includes('engine.worker'))
}

/** What was not kept of a payload is taken to be zeros, which are valid rows and results. */
function frameOf(start: readonly number[], byteLength: number): Frame | null {
  const bytes = new Uint8Array(byteLength)
  bytes.set(start)
  const decoded = decodeFrame(bytes)
  return decoded.ok ? decoded.value : null
}
