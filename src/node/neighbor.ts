/**
 * A neighbor: a door to a server on this machine whose callers have another address than its own. Tabs of one machine are one requester to a
 * coordinator, by their address; with a door each they are as many as they would be on machines of their own. Linux answers all of 127.0.0.0/8.
 */

import { type AddressInfo, connect, createServer, type Socket } from 'node:net'

export interface Neighbor {
  readonly url: string
  close(): Promise<void>
}

/** `number`: 1 … 254; each has an address of its own. `url`: of a server on the loopback interface. */
export async function openNeighbor(number: number, url: string): Promise<Neighbor> {
  const { hostname: host, port } = new URL(url)
  const sockets = new Set<Socket>()
  const keep = (socket: Socket) => {
    sockets.add(socket)
    socket.on('close', () => sockets.delete(socket))
  }
  const server = createServer((near) => {
    const far = connect({ host, port: Number(port), localAddress: `127.0.1.${number}` })
    for (const [one, other] of [
      [near, far],
      [far, near],
    ] as const) {
      keep(one)
      one.on('error', () => other.destroy())
      one.pipe(other)
    }
  })
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen(0, host, resolve)
  })
  const { port: own } = server.address() as AddressInfo
  return {
    url: `http://${host}:${own}`,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve())
        for (const socket of sockets) socket.destroy()
      }),
  }
}
