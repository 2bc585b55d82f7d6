/**
 * Models over HTTP: the list, each one's manifest as it was hashed, and its file in ranges. A file may lie on the disk or
 * behind a URL; it is read through its WeightSource and streamed in chunks, at the reader's pace.
 */

import { Readable } from 'node:stream'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { canonicalJson, type HashedManifest, type WeightSource } from '../../model/index.ts'
import type { ListedModel, ModelList } from '../../protocol/index.ts'
import { DEFAULT_PRICES, listPrice, tierFactors } from '../ledger/index.ts'
import { FILE_CHUNK_BYTES } from './limits.ts'
import { type ByteRange, parseRange } from './ranges.ts'

export interface ServedModel {
  readonly hashedManifest: HashedManifest
  readonly source: WeightSource
}

export interface OfferedModels {
  /** Those that answer; the first is the default. */
  readonly models: readonly ServedModel[]
  /** Small ones that requesters may load whole, to draft; those that answer may be among them. */
  readonly draftModels: readonly ServedModel[]
}

export function registerModelRoutes(app: FastifyInstance, { models, draftModels }: OfferedModels, log: (line: string) => void): void {
  const list: ModelList = {
    models: models.map(({ hashedManifest }, index) => describe(hashedManifest, index === 0)),
    draftModels: draftModels.map(({ hashedManifest }) => describe(hashedManifest, false)),
  }
  app.get('/models', async () => list)
  const byId = new Map<string, ServedModel>([...draftModels, ...models].map((model) => [model.hashedManifest.manifest.id, model]))
  const find = (request: FastifyRequest<{ Params: { id: string } }>, reply: FastifyReply) => {
    const model = byId.get(request.params.id)
    if (model === undefined)
      reply
        .code(404)
        .send({ error: { reason: 'unknown-model', message: 'this coordinator has no such model; GET /models lists those it has' } })
    return model
  }
  app.get<{ Params: { id: string } }>('/models/:id/manifest', async (request, reply) => {
    const model = find(request, reply)
    if (model === undefined) return reply
    const { manifest, hash } = model.hashedManifest
    reply.header('etag', `"${hash}"`).header('cache-control', 'no-cache')
    if (request.headers['if-none-match'] === `"${hash}"`) return reply.code(304).send()
    return reply.type('application/json').send(canonicalJson(manifest))
  })
  app.get<{ Params: { id: string } }>('/models/:id/file', async (request, reply) => {
    const model = find(request, reply)
    return model === undefined ? reply : sendFile(request, reply, model, log)
  })
}

function describe({ manifest, hash }: HashedManifest, isDefault: boolean): ListedModel {
  const { id, name, license, fileBytes, config } = manifest
  const { layerCount, contextLength } = config
  const creditsPerMillionTokens = listPrice(config, DEFAULT_PRICES, 'standard')
  const tiers = tierFactors(DEFAULT_PRICES)
  return { id, name, license, manifestHash: hash, fileBytes, layerCount, contextLength, creditsPerMillionTokens, tiers, default: isDefault }
}

function sendFile(request: FastifyRequest, reply: FastifyReply, model: ServedModel, log: (line: string) => void): FastifyReply {
  const { manifest, hash } = model.hashedManifest
  const { fileBytes } = manifest
  // The manifest holds the hash of every byte that matters: it names the file.
  const etag = `"${hash}"`
  reply.header('etag', etag).header('accept-ranges', 'bytes').header('cache-control', 'no-cache')
  if (request.headers['if-none-match'] === etag) return reply.code(304).send()
  const ifRange = request.headers['if-range']
  const range = ifRange === undefined || ifRange === etag ? parseRange(request.headers.range, fileBytes) : null
  if (range === 'unsatisfiable')
    return reply
      .code(416)
      .header('content-range', `bytes */${fileBytes}`)
      .send({ error: { reason: 'bad-range', message: `the file has ${fileBytes} bytes` } })
  const { byteOffset, byteLength } = range ?? { byteOffset: 0, byteLength: fileBytes }
  if (range !== null) reply.code(206).header('content-range', `bytes ${byteOffset}-${byteOffset + byteLength - 1}/${fileBytes}`)
  reply.type('application/octet-stream').header('content-length', byteLength)
  if (request.method === 'HEAD') return reply.send(Readable.from([]))
  const stream = fileStream(model.source, { byteOffset, byteLength })
  stream.on('error', (error) => log(`${manifest.id}: bytes ${byteOffset} to ${byteOffset + byteLength - 1} broke off: ${error.message}`))
  return reply.send(stream)
}

/** Reads on only as the reader takes; stops when it goes away. */
function fileStream(source: WeightSource, range: ByteRange): Readable {
  const controller = new AbortController()
  async function* chunks() {
    try {
      const end = range.byteOffset + range.byteLength
      for (let byteOffset = range.byteOffset; byteOffset < end; byteOffset += FILE_CHUNK_BYTES)
        yield await source.read({ byteOffset, byteLength: Math.min(FILE_CHUNK_BYTES, end - byteOffset) }, controller.signal)
    } finally {
      controller.abort()
    }
  }
  const stream = Readable.from(chunks(), { objectMode: false, highWaterMark: FILE_CHUNK_BYTES })
  stream.on('close', () => controller.abort())
  return stream
}
