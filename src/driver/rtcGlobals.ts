/**
 * WebRTC in a thread of Node: PeerJS finds in the global scope what a page would have. Only for a thread of its own, since other packages take a
 * process with a `window` for a browser.
 */

import * as rtc from 'node-datachannel/polyfill'
import { WebSocket } from 'ws'

/** The signalling server is this process itself, whose certificate may be its own. */
class LocalWebSocket extends WebSocket {
  constructor(url: string) {
    super(url, { rejectUnauthorized: false })
  }
}

export function installRtcGlobals(): void {
  Object.assign(globalThis, rtc, { WebSocket: LocalWebSocket, window: globalThis })
}

/** To the coordinator of this process. */
export function openLocalSocket(url: string): WebSocket {
  return new LocalWebSocket(url)
}
