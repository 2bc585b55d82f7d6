/**
 * The asking role of a peer: its socket, which opens at once, its links, which open at the first question, and all that a question needs of both. The
 * same on a page and in Node.
 */

import { type ControlClient, sha256Of, signatureVerifier } from '../network/index.ts'
import type { ServerMessage } from '../protocol/index.ts'
import { ReceiptBook, RowBudget } from '../receipts/index.ts'
import { type DriverBook, LinkRouter } from '../session/index.ts'
import { type PeerId, TabswarmError } from '../shared/index.ts'
import { type ConnectionHost, type ConnectionOptions, PeerConnection } from './connection.ts'
import { patiently } from './patience.ts'
import type { Admission, RequesterPorts } from './requester.ts'
import { LatestLinks, RequesterReport, type RequesterReportPorts } from './roundTrips.ts'

export interface AskingRoleOptions extends Pick<RequesterPorts, 'library' | 'manifestHash' | 'beginDrafting' | 'onHeld'> {
  readonly host: ConnectionHost
  /** Its key pair; a fresh one where it is left out. */
  readonly identity?: ConnectionOptions['identity']
}

export interface AskingRole extends RequesterPorts {
  /** Rejects in insecure contexts, which have no keys. */
  readonly connection: Promise<PeerConnection>
  control(): Promise<ControlClient>
  /** Once what is to be signed is signed. */
  close(): Promise<void>
}

export function openAskingRole({ host, identity, ...options }: AskingRoleOptions): AskingRole {
  const { clock, subtle } = host
  let closed = false
  const connection = PeerConnection.open(host, {
    load: async () => ({ sessions: 0, kvPositionsFree: 0 }),
    framePlace: 'page',
    onIncoming: (link) => link.close(),
    ...(identity !== undefined && { identity }),
  })
  connection.then(
    (opened) => {
      if (closed) opened.close()
    },
    () => undefined,
  )
  let router: Promise<LinkRouter> | null = null
  const receipts = connection.then((opened) => openReceipts(opened, host, () => now()))
  // What the opening's failure means is told by who waits for the connection.
  receipts.catch(() => undefined)
  const links = new LatestLinks()
  const send: RequesterReportPorts['send'] = (message) => void connection.then(({ control }) => control.send(message))
  const report = new RequesterReport({ links, clock, send })
  let key: Uint8Array | null = null
  let now: () => number = () => clock.nowMs()
  const onPeer = (event: 'gone' | 'draining', listener: (peerId: PeerId) => void) => {
    let unsubscribe: () => void = () => undefined
    let ended = false
    void connection.then(({ control }) => {
      if (!ended) unsubscribe = control.on(event, ({ peerId }: { readonly peerId: PeerId }) => listener(peerId))
    })
    return () => {
      ended = true
      unsubscribe()
    }
  }
  return {
    ...options,
    connection,
    clock,
    verify: signatureVerifier(subtle),
    admit: (request, watch) =>
      patiently(
        clock,
        async (leftMs): Promise<Admission> => {
          const { control } = await connection
          const admitted = await control.admit({ ...request, waitMs: leftMs }, watch)
          if (control.state.kind === 'online') key = control.state.coordinatorKey
          now = () => control.coordinatorNowMs()
          return admissionOf(admitted)
        },
        request.waitMs,
      ),
    repair: async (request) => {
      const { control } = await connection
      return admissionOf(await control.repair(request))
    },
    onGone: (listener) => onPeer('gone', listener),
    onDraining: (listener) => onPeer('draining', listener),
    control: async () => (await connection).control,
    onLap: (peerIds) => void report.handleLap(peerIds),
    ended(session) {
      void connection.then(({ control }) => control.send({ type: 'ended', ...session }))
    },
    router() {
      router ??= connection.then(
        (opened) =>
          new LinkRouter({
            async dial(peerId, signal) {
              const link = await (await opened.network()).dial(peerId, signal)
              links.add(link)
              return link
            },
            clock,
          }),
      )
      return router
    },
    receipts: () => receipts,
    coordinatorKey() {
      if (key === null) throw new TabswarmError('offline', 'the coordinator is not known yet; try again in a moment')
      return key
    },
    coordinatorNowMs: () => now(),
    async close() {
      closed = true
      const opened = await connection.catch(() => null)
      await (await receipts.catch(() => null))?.book.settled()
      opened?.close()
    },
  }
}

/** What the asking role signs, and tells the coordinator. `coordinatorNowMs` is its time. */
function openReceipts(connection: PeerConnection, { clock, subtle }: ConnectionHost, coordinatorNowMs: () => number): DriverBook {
  const { control, peerId, publicKey } = connection
  const book = new ReceiptBook({
    peerId,
    signer: { sign: (message) => connection.sign(message) },
    sha256: sha256Of(subtle),
    clock: { nowMs: coordinatorNowMs, after: (delayMs, callback) => clock.after(delayMs, callback) },
    budget: new RowBudget(),
    head: () => connection.heads.head,
    onReceipt: (receipt) => void control.send({ type: 'receipt', receipt }),
  })
  control.on('ask-receipt', ({ type: _, ...wanted }) => book.ask(wanted))
  control.on('release-log', ({ sessionId }) => book.release(sessionId))
  return { book, publicKey }
}

function admissionOf({ grant, chain, held }: Extract<ServerMessage, { type: 'admitted' }>): Admission {
  return { grant, chain, held: held === null ? null : BigInt(held) }
}
