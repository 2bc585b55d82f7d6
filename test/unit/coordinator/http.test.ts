/** What the coordinator answers over HTTP: the app, its headers, the models in ranges, and nothing else. */

import { request } from 'node:http'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { parseRange } from '../../../src/coordinator/server/ranges.ts'
import { hashManifest, type Manifest, parseManifest } from '../../../src/model/index.ts'
import { parseModelList } from '../../../src/protocol/index.ts'
import type { ModelId } from '../../../src/shared/index.ts'
import { openTinyModel } from '../../support/tinyModels.ts'
import { sha256, startTestServer, type TestServer } from './serverWorld.ts'

let server: TestServer
beforeAll(async () => {
  server = await startTestServer()
})
afterAll(() => server.close())

const get = (path: string, headers: Record<string, string> = {}) => fetch(new URL(path, server.url), { headers })
const file = () => `/models/${server.modelId}/file`

/** A request whose path goes out as it is written: fetch would resolve the dots. */
function getRaw(path: string): Promise<{ status: number; body: string }> {
  return new Promise((resolve, reject) => {
    const sent = request({ host: '127.0.0.1', port: server.port, path }, (response) => {
      let body = ''
      response.setEncoding('utf8').on('data', (text: string) => {
        body += text
      })
      response.on('end', () => resolve({ status: response.statusCode ?? 0, body }))
    })
    sent.on('error', reject)
    sent.end()
  })
}

describe('web app', () => {
  it.each(['/', '/contribute', '/chat', '/bench', '/account', '/admin', '/reference', '/contribute?pledge-mb=100'])(
    'answers the page %s with index.html',
    async (page) => {
      const response = await get(page)
      expect(response.status).toBe(200)
      expect(response.headers.get('content-type')).toMatch('text/html')
      expect(response.headers.get('cache-control')).toBe('no-cache')
      expect(await response.text()).toContain('Tabswarm')
    },
  )

  it('says in the usual words that a URL cannot be decoded', async () => {
    const { status, body } = await getRaw('/%')
    expect([status, JSON.parse(body)]).toMatchObject([400, { error: { reason: 'bad-request' } }])
  })

  it.each(['/v1/nothing', '/v1/%', '/v1/models/%', `/v1/models/${'x'.repeat(200)}`])(
    'answers broken and unknown paths of the API in its own form: %s',
    async (path) => {
      const { status, body } = await getRaw(path)
      expect([status, JSON.parse(body)]).toMatchObject([404, { error: { type: 'not_found_error', param: null, code: 'unknown_url' } }])
    },
  )

  it('keeps hashed assets for ever', async () => {
    const response = await get('/assets/main-0123.js')
    expect(response.status).toBe(200)
    expect(response.headers.get('content-type')).toMatch('javascript')
    expect(response.headers.get('cache-control')).toBe('public, max-age=31536000, immutable')
  })

  it('answers unknown pages with the app and 404, unknown files with 404 alone', async () => {
    const page = await get('/nowhere', { accept: 'text/html,*/*' })
    expect([page.status, await page.text()]).toEqual([404, '<title>Tabswarm</title>'])
    for (const path of ['/assets/none.js', '/nowhere.js', '/index.htm', '/models/none/file', '/signal/peers', '/signal/peerjs/peers']) {
      const response = await get(path)
      expect([path, response.status]).toEqual([path, 404])
      expect(await response.text()).not.toContain('<title>')
    }
  })

  it.each([
    '/../secret.txt',
    '/assets/../../secret.txt',
    '/%2e%2e/secret.txt',
    '/..%2fsecret.txt',
    '/assets/..%5c..%5csecret.txt',
    '//secret.txt',
    '/%00',
    '/.env',
    '/%',
  ])('gives nothing away for %s', async (path) => {
    const { status, body } = await getRaw(path)
    expect(status).toBeGreaterThanOrEqual(400)
    expect(status).toBeLessThan(500)
    expect(body).not.toContain('secret"')
    expect(body.trim()).not.toBe('secret')
  })

  it('sends headers that let no foreign script, frame or connection in, with every answer', async () => {
    for (const path of ['/', '/assets/main-0123.js', '/models', '/nowhere.js']) {
      const { headers } = await get(path)
      expect(headers.get('cross-origin-opener-policy')).toBe('same-origin')
      expect(headers.get('cross-origin-embedder-policy')).toBe('require-corp')
      expect(headers.get('x-content-type-options')).toBe('nosniff')
      expect(headers.get('permissions-policy')).toContain('camera=()')
      const policy = headers.get('content-security-policy')?.split('; ')
      expect(policy).toContain("default-src 'none'")
      expect(policy).toContain("script-src 'self' 'wasm-unsafe-eval'")
      expect(policy).toContain("connect-src 'self'")
      expect(policy).toContain("frame-ancestors 'none'")
    }
  })

  it('says that it is healthy', async () => {
    expect(await (await get('/healthz')).json()).toEqual({ status: 'ok' })
  })
})

describe('models', () => {
  it('are listed', async () => {
    const { models } = (await (await get('/models')).json()) as { models: unknown[] }
    expect(models).toMatchObject([{ id: server.modelId, default: true, fileBytes: server.modelBytes.byteLength, layerCount: 2 }])
  })

  it('that draft are listed apart and served as well; two files with one name are refused', async () => {
    const { manifest } = await openTinyModel('qwen2')
    const source = { read: async ({ byteLength }: { readonly byteLength: number }) => new Uint8Array(byteLength) }
    const served = async (named: Manifest) => ({ hashedManifest: { manifest: named, hash: await hashManifest(named, sha256) }, source })
    const drafting = await startTestServer({ draftModels: [await served(manifest)] })
    try {
      const list = parseModelList(await (await fetch(new URL('/models', drafting.url))).json())
      expect(list).toMatchObject({ ok: true, value: { models: [{ id: server.modelId }], draftModels: [{ id: 'qwen2', default: false }] } })
      const response = await fetch(new URL('/models/qwen2/manifest', drafting.url))
      expect(parseManifest(await response.json())).toEqual(manifest)
    } finally {
      await drafting.close()
    }
    const twin = await served({ ...manifest, id: server.modelId as ModelId })
    await expect(startTestServer({ draftModels: [twin] })).rejects.toMatchObject({ reason: 'bad-options' })
  })

  it('come with the manifest as it was hashed', async () => {
    const response = await get(`/models/${server.modelId}/manifest`)
    const manifest = parseManifest(await response.json())
    expect(response.headers.get('etag')).toBe(`"${await hashManifest(manifest, sha256)}"`)
    const again = await get(`/models/${server.modelId}/manifest`, { 'if-none-match': response.headers.get('etag') ?? '' })
    expect(again.status).toBe(304)
  })

  it('come whole', async () => {
    const response = await get(file())
    expect(response.status).toBe(200)
    expect(response.headers.get('accept-ranges')).toBe('bytes')
    expect(Buffer.compare(Buffer.from(await response.arrayBuffer()), server.modelBytes)).toBe(0)
  })

  it('tell their size without a body', async () => {
    const response = await fetch(new URL(file(), server.url), { method: 'HEAD' })
    expect(response.status).toBe(200)
    expect(response.headers.get('content-length')).toBe(String(server.modelBytes.byteLength))
    expect(await response.text()).toBe('')
  })

  it.each([
    ['bytes=0-0', 0, 1],
    ['bytes=1000-1999', 1_000, 2_000],
    ['bytes=600000-', 600_000, undefined],
    ['bytes=-100', -100, undefined],
    ['bytes=100-999999999', 100, undefined],
  ])('come in ranges: %s', async (range, from, to) => {
    const expected = server.modelBytes.slice(from, to)
    const response = await get(file(), { range })
    expect(response.status).toBe(206)
    const total = server.modelBytes.byteLength
    const first = from < 0 ? total + from : from
    expect(response.headers.get('content-range')).toBe(`bytes ${first}-${first + expected.byteLength - 1}/${total}`)
    expect(Buffer.compare(Buffer.from(await response.arrayBuffer()), expected)).toBe(0)
  })

  it('refuse ranges beyond the end with the size', async () => {
    const response = await get(file(), { range: 'bytes=999999999-' })
    expect(response.status).toBe(416)
    expect(response.headers.get('content-range')).toBe(`bytes */${server.modelBytes.byteLength}`)
  })

  it('come whole where the file has changed since', async () => {
    const etag = (await get(file(), { range: 'bytes=0-0' })).headers.get('etag') ?? ''
    expect((await get(file(), { range: 'bytes=0-9', 'if-range': etag })).status).toBe(206)
    expect((await get(file(), { range: 'bytes=0-9', 'if-range': '"other"' })).status).toBe(200)
    expect((await get(file(), { 'if-none-match': etag })).status).toBe(304)
  })

  it('fail, and tell the operator, when the file cannot be read; what has begun breaks off', async () => {
    for (const readable of [0, 1]) {
      let reads = 0
      const broken = await startTestServer({
        models: [
          {
            hashedManifest: {
              manifest: parseManifest(await (await get(`/models/${server.modelId}/manifest`)).json()),
              hash: await theHash(),
            },
            source: {
              read: async ({ byteLength }) => {
                if (reads++ >= readable) throw new Error('the disk is gone')
                return new Uint8Array(byteLength)
              },
            },
          },
        ],
      })
      try {
        const answer = await fetch(new URL(file(), broken.url))
          .then(
            async (response) => [response.status, await response.json()],
            () => 'broken off',
          )
          .catch(() => 'broken off')
        expect(answer).toEqual(readable === 0 ? [500, { error: { reason: 'internal', message: expect.any(String) } }] : 'broken off')
        expect(broken.log.join('\n')).toContain('the disk is gone')
      } finally {
        await broken.close()
      }
    }
  })

  async function theHash() {
    return hashManifest(parseManifest(await (await get(`/models/${server.modelId}/manifest`)).json()), sha256)
  }
})

describe('parseRange', () => {
  it.each([
    [undefined, null],
    ['bytes=0-9,20-29', null],
    ['rows=0-9', null],
    ['bytes=-', null],
    ['bytes=9-8', null],
    ['bytes=-0', 'unsatisfiable'],
    ['bytes=100-', 'unsatisfiable'],
    ['bytes=99999999999999999999-', null],
    ['bytes=-200', { byteOffset: 0, byteLength: 100 }],
    ['bytes=99-', { byteOffset: 99, byteLength: 1 }],
    [' bytes=5-5 ', { byteOffset: 5, byteLength: 1 }],
  ])('%s of 100 bytes', (header, range) => {
    expect(parseRange(header, 100)).toEqual(range)
  })
})

describe('startCoordinator', () => {
  it('says what to do about a port that is taken', async () => {
    await expect(startTestServer({ port: server.port })).rejects.toMatchObject({
      reason: 'cannot-listen',
      message: expect.stringMatching(/taken.*--port/),
    })
  })

  it('refuses to serve no model, or chains of no stage', async () => {
    await expect(startTestServer({ models: [] })).rejects.toMatchObject({ reason: 'no-model' })
    await expect(startTestServer({ minStages: 0 })).rejects.toMatchObject({ reason: 'bad-options' })
  })
})
