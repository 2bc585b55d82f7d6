/**
 * FrameConnection: PeerJS's DataConnection without its serializers and buffers. It hands out the open RTCDataChannel and tells
 * the end. (BufferedConnection is the base that PeerJS exports; DataConnection itself is a type there.)
 */

import type { DataConnection } from 'peerjs'
import { BufferedConnection } from './peerJsModule.ts'

export interface ConnectionListener {
  /**
   * Once, synchronously with the channel's opening; the signalling may not be stable yet. `early` came before, in order: Chromium
   * may deliver the other side's first message before it tells that the channel is open.
   */
  readonly onOpen: (dataChannel: RTCDataChannel, peerConnection: RTCPeerConnection, early: readonly MessageEvent[]) => void
  /** Once. `remote`: the data channel was closed; `lost`: ICE failed, or PeerJS gave up. */
  readonly onEnd: (reason: 'remote' | 'lost') => void
}

/** Messages kept before the channel is told open: a handshake's first ones. */
const EARLY_MESSAGES_MAX = 8

interface State {
  channel: RTCDataChannel | null
  early: MessageEvent[]
  rtc: RTCPeerConnection | null
  opened: boolean
  ended: boolean
  listener: ConnectionListener | null
}

/** Beside the class: PeerJS calls `_initializeDataChannel` from its constructor, before a subclass has fields. */
const states = new WeakMap<FrameConnection, State>()

export class FrameConnection extends BufferedConnection {
  /** PeerJS's name of "no serializer". */
  readonly serialization = 'raw'

  /** In the turn in which PeerJS made the connection: nothing has happened on it yet. */
  listen(listener: ConnectionListener): void {
    stateOf(this).listener = listener
  }

  /** Called by PeerJS for the channel made here or announced by the other side, which may announce more: only the first counts. */
  override _initializeDataChannel(channel: RTCDataChannel): void {
    const state = stateOf(this)
    if (state.channel !== null || !channel.ordered || channel.maxRetransmits !== null || channel.maxPacketLifeTime !== null) {
      channel.close()
      return
    }
    const rtc = this.peerConnection
    state.channel = channel
    state.rtc = rtc
    // PeerJS waits for iceConnectionState `failed`, which Chromium 156 never reports for a tab that has gone; this comes after 15 s.
    rtc.addEventListener('connectionstatechange', () => {
      if (rtc.connectionState === 'failed') this.close()
    })
    // Without a candidate of this side there is nothing to wait for; browsers wait all the same.
    rtc.addEventListener('icegatheringstatechange', () => {
      if (rtc.iceGatheringState === 'complete' && !/^a=candidate:/m.test(rtc.localDescription?.sdp ?? '')) this.close()
    })
    // Before PeerJS's own handler, which would call it `lost`.
    channel.addEventListener('close', () => tellEnd(state, 'remote'))
    super._initializeDataChannel(channel)
    channel.binaryType = 'arraybuffer'
    const keep = (event: MessageEvent) => {
      if (state.early.length < EARLY_MESSAGES_MAX) state.early.push(event)
      else this.close()
    }
    const open = () => {
      channel.removeEventListener('message', keep)
      tellOpen(state)
    }
    channel.addEventListener('message', keep)
    channel.addEventListener('open', open)
    if (channel.readyState === 'open') open()
  }

  /** PeerJS's handlers throw on some messages of a closed connection; that ends this connection and nothing else. */
  override async handleMessage(message: Parameters<DataConnection['handleMessage']>[0]): Promise<void> {
    try {
      await super.handleMessage(message)
    } catch {
      this.close()
    }
  }

  override close(): void {
    super.close()
    tellEnd(stateOf(this), 'lost')
  }

  /** RtcChannel listens to the messages itself. */
  protected override _handleDataMessage(): void {}

  protected override _send(): void {
    throw new Error('assertion failed: frames go straight to the RTCDataChannel')
  }
}

function stateOf(connection: FrameConnection): State {
  const known = states.get(connection)
  if (known !== undefined) return known
  const fresh: State = { channel: null, early: [], rtc: null, opened: false, ended: false, listener: null }
  states.set(connection, fresh)
  return fresh
}

function tellOpen(state: State): void {
  if (state.opened || state.ended || state.channel === null || state.rtc === null) return
  state.opened = true
  state.listener?.onOpen(state.channel, state.rtc, state.early.splice(0))
}

function tellEnd(state: State, reason: 'remote' | 'lost'): void {
  if (state.ended) return
  state.ended = true
  state.listener?.onEnd(reason)
}
