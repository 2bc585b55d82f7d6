/**
 * WebRTC in Node: PeerJS finds in the global scope what a page would have. Only for a process of its own, since other packages take one with a
 * `window` for a browser.
 */

import * as rtc from 'node-datachannel/polyfill'
import { WebSocket } from 'ws'

/** The signalling server is the coordinator that began this process, whose certificate may be its own. */
class LocalWebSocket extends WebSocket {
  constructor(url: string) {
    super(url, { rejectUnauthorized: false })
  }
}

export function installRtcGlobals(): void {
  Object.assign(globalThis, rtc, { WebSocket: LocalWebSocket, window: globalThis })
}

/** To that coordinator. */
export function openLocalSocket(url: string): WebSocket {
  return new LocalWebSocket(url)
}
