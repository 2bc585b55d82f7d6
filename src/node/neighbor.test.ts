import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterEach, describe, expect, it } from 'vitest'
import { openNeighbor } from './neighbor.ts'

describe('openNeighbor', () => {
  let server: Server | null = null

  afterEach(() => {
    server?.close()
  })

  it.runIf(process.platform === 'linux')('passes calls on, from an address of its own', async () => {
    const answering = createServer((request, response) => response.end(`${request.socket.remoteAddress} ${request.url}`))
    server = answering
    await new Promise<void>((resolve) => answering.listen(0, '127.0.0.1', resolve))
    const url = `http://127.0.0.1:${(answering.address() as AddressInfo).port}`
    const neighbors = await Promise.all([1, 2].map((number) => openNeighbor(number, url)))
    const seen = await Promise.all(neighbors.map(async (neighbor) => (await fetch(`${neighbor.url}/page`)).text()))
    expect(seen).toEqual(['127.0.1.1 /page', '127.0.1.2 /page'])
    await Promise.all(neighbors.map((neighbor) => neighbor.close()))
    await expect(fetch(neighbors[0]?.url ?? '')).rejects.toThrow()
  })
})
