/**
 * WebRTC in Node: PeerJS finds in the global scope what a page would have. Only for a process of its own, since other packages take one with a
 * `window` for a browser.
 */

import * as rtc from 'node-datachannel/polyfill'
import { WebSocket } from 'ws'
import type { ControlSocket, RelaySocket } from '../../network/index.ts'

/** What peers take for a browser's. */
type PeerSocket = ControlSocket & RelaySocket

/** As in a browser: after an error `close` follows, and PeerJS listens to that alone. An error that nobody hears would end the process. */
class CalmWebSocket extends WebSocket {
  constructor(url: string, options?: { readonly rejectUnauthorized: boolean }) {
    super(url, options)
    this.on('error', () => undefined)
  }
}

/** The signalling server is the coordinator that began this process, whose certificate may be its own. */
class LocalWebSocket extends CalmWebSocket {
  constructor(url: string) {
    super(url, { rejectUnauthorized: false })
  }
}

/** Node's has milliseconds where browsers have seconds, and −1 before anything was measured. Of its report, a copy with a browser's round trips. */
export function withSeconds(report: ReadonlyMap<string, object>): Map<string, object> {
  const copied = new Map<string, object>()
  for (const [id, entry] of report) {
    const { currentRoundTripTime: ms, totalRoundTripTime: _, ...others } = entry as Record<string, unknown>
    copied.set(id, typeof ms === 'number' && ms >= 0 ? { ...others, currentRoundTripTime: ms / 1_000 } : others)
  }
  return copied
}

class PeerConnection extends rtc.RTCPeerConnection {
  override async getStats(): Promise<RTCStatsReport> {
    return withSeconds((await super.getStats()) as unknown as ReadonlyMap<string, object>) as unknown as RTCStatsReport
  }
}

/** `local`: the coordinator is of this machine, and its certificate is believed. Returns what opens sockets to it. */
export function installRtcGlobals(place: 'local' | 'anywhere'): (url: string) => PeerSocket {
  const Socket = place === 'local' ? LocalWebSocket : CalmWebSocket
  Object.assign(globalThis, rtc, { RTCPeerConnection: PeerConnection, WebSocket: Socket, window: globalThis })
  return (url) => new Socket(url) as unknown as PeerSocket
}
