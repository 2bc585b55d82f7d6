/**
 * securePort: HTTPS, and on the same port an answer for those who typed the address without the s. Browsers give WebGPU to
 * secure pages only, so a plain request is sent to the secure address of the page it asked for.
 */

import http, { type RequestListener } from 'node:http'
import https from 'node:https'
import type { Socket } from 'node:net'

/** First byte of a TLS record that opens a connection (RFC 8446, section 5.1: handshake). */
const TLS_HANDSHAKE = 0x16
/** A connection that says nothing at all is nobody's. */
const FIRST_BYTE_MS = 10_000

export function createSecureServer(tls: { readonly cert: string; readonly key: string }, handler: RequestListener): https.Server {
  const secure = https.createServer({ cert: tls.cert, key: tls.key }, handler)
  const plain = http.createServer((request, response) => {
    const { host } = request.headers
    // Only the path is taken over; the host is the one that the request came to.
    const location = host === undefined || !/^[\w.:[\]-]+$/.test(host) ? null : `https://${host}${request.url ?? '/'}`
    if (location === null) response.writeHead(400, { connection: 'close' }).end('This port speaks HTTPS.\n')
    else response.writeHead(307, { location, connection: 'close' }).end(`This page is at ${location}\n`)
  })
  const handshake = secure.listeners('connection')
  secure.removeAllListeners('connection')
  secure.on('connection', (socket: Socket) => {
    socket.on('error', () => socket.destroy())
    socket.setTimeout(FIRST_BYTE_MS, () => socket.destroy())
    socket.once('data', (bytes: Buffer) => {
      socket.setTimeout(0)
      socket.removeAllListeners('timeout')
      socket.pause()
      socket.unshift(bytes)
      if (bytes[0] === TLS_HANDSHAKE) for (const listener of handshake) Reflect.apply(listener, secure, [socket])
      else plain.emit('connection', socket)
      process.nextTick(() => socket.resume())
    })
  })
  return secure
}
