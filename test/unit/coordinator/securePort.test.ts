import { mkdtemp, rm } from 'node:fs/promises'
import http from 'node:http'
import https from 'node:https'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { createSecureServer } from '../../../src/coordinator/server/securePort.ts'
import { ownCertificate } from '../../../src/node/certificate.ts'

let folder: string
let server: https.Server
let port: number

beforeAll(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'tabswarm-secure-'))
  server = createSecureServer(await ownCertificate(folder), (_request, response) => response.end('secret'))
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', () => resolve()))
  port = (server.address() as AddressInfo).port
})

afterAll(async () => {
  server.closeAllConnections()
  server.close()
  await rm(folder, { recursive: true })
})

function get(client: typeof http | typeof https, headers: Record<string, string> = {}): Promise<http.IncomingMessage & { text: string }> {
  return new Promise((resolve, reject) => {
    client
      .get({ host: '127.0.0.1', port, path: '/chat?x=1', rejectUnauthorized: false, agent: false, headers }, (response) => {
        let text = ''
        response.on('data', (bytes: Buffer) => {
          text += bytes.toString()
        })
        response.on('end', () => resolve(Object.assign(response, { text })))
      })
      .on('error', reject)
  })
}

describe('createSecureServer', () => {
  it('answers over TLS', async () => {
    expect((await get(https)).text).toBe('secret')
  })

  it('sends a plain request to the secure address of the same page, and serves it nothing', async () => {
    const answer = await get(http)
    expect(answer.statusCode).toBe(307)
    expect(answer.headers.location).toBe(`https://127.0.0.1:${port}/chat?x=1`)
    expect(answer.text).not.toContain('secret')
  })

  it('redirects to no host that is not one', async () => {
    const answer = await get(http, { host: 'evil.example/@' })
    expect(answer.statusCode).toBe(400)
    expect(answer.headers.location).toBeUndefined()
  })
})
