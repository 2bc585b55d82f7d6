/** The routes of files: what is to be asked in a batch comes in by them, and its answers go out. Their names and contents are sealed. */

import { Readable } from 'node:stream'
import type { FastifyInstance, FastifyRequest } from 'fastify'
import type { SealedKind, SealedObject } from '../../store/index.ts'
import type { AnswerRoute } from '../answerRoute.ts'
import { ApiError, badParameter } from '../apiError.ts'
import { type Caller, callerOf, listForm, pageOf } from './callers.ts'
import type { ClientObjects } from './clientObjects.ts'
import { readUpload } from './multipart.ts'
import { KEPT_MS } from './ports.ts'

/** Some 10,000 requests of 1.6 KiB. */
const FILE_BYTES_MAX = 16 * 1024 * 1024
/** Of the form around the file. */
const FORM_BYTES_MAX = 64 * 1024

const PURPOSES = { batch: 'file', batch_output: 'output' } as const satisfies Record<string, SealedKind>
const KINDS = Object.values(PURPOSES)

export interface FileHeader {
  readonly name: string
}

export interface FilesOptions {
  readonly answers: Pick<AnswerRoute, 'authorize'>
  readonly objects: ClientObjects
}

export function registerFiles(v1: FastifyInstance, { answers, objects }: FilesOptions): void {
  const bodyLimit = FILE_BYTES_MAX + FORM_BYTES_MAX
  v1.addContentTypeParser('multipart/form-data', { parseAs: 'buffer', bodyLimit }, (_request, body, done) => done(null, body))
  v1.post('/files', { bodyLimit }, async (request) => {
    const caller = await callerOf(answers, request)
    return upload(objects, caller, request)
  })
  v1.get('/files', async (request) => {
    const { key } = await callerOf(answers, request)
    const page = pageOf(request.query, ['purpose'])
    const { purpose } = request.query as { readonly purpose?: unknown }
    if (purpose !== undefined && !isPurpose(purpose)) throw badParameter('purpose', 'purpose is batch or batch_output')
    const kinds = purpose === undefined ? KINDS : [PURPOSES[purpose]]
    const found = await objects.list(key, { ...page, limit: page.limit + 1, kinds })
    return listForm(
      found.map((file) => fileForm(file, objects.header(key, file))),
      page,
    )
  })
  v1.get<{ Params: { id: string } }>('/files/:id', async (request) => {
    const { key } = await callerOf(answers, request)
    const file = await objects.find(key, KINDS, request.params.id)
    return fileForm(file, objects.header(key, file))
  })
  v1.get<{ Params: { id: string } }>('/files/:id/content', async (request, reply) => {
    const { key } = await callerOf(answers, request)
    const file = await objects.find(key, KINDS, request.params.id)
    return reply.type('application/octet-stream').send(Readable.from(objects.content(key, file)))
  })
  v1.delete<{ Params: { id: string } }>('/files/:id', async (request) => {
    const { key } = await callerOf(answers, request)
    const { id } = await objects.find(key, KINDS, request.params.id)
    const { sealed, batches } = await objects.storage
    if (await batches.isInput(id)) throw new ApiError(409, `a batch reads ${id}; cancel it first`, { code: 'file_in_use' })
    await sealed.remove(id, key.keyId)
    return { id, object: 'file', deleted: true }
  })
}

async function upload(objects: ClientObjects, { key }: Caller, request: FastifyRequest): Promise<object> {
  if (!(request.body instanceof Uint8Array))
    throw new ApiError(415, 'a file comes as a form: send "Content-Type: multipart/form-data"', { code: 'unsupported_media_type' })
  const { purpose, name, content } = await readUpload(request.body, request.headers['content-type'] ?? '')
  if (purpose !== 'batch') throw badParameter('purpose', 'the only purpose of files here is "batch"', 'unsupported_parameter')
  if (content.length === 0) throw badParameter('file', 'the file is empty')
  if (content.length > FILE_BYTES_MAX)
    throw new ApiError(413, `a file has at most ${FILE_BYTES_MAX / 1024 / 1024} MiB`, { code: 'body_too_large' })
  const header: FileHeader = { name }
  const expiresAtMs = objects.nowMs() + KEPT_MS
  return fileForm(await objects.add(key, { id: objects.newId('file-'), kind: 'file', header, expiresAtMs }, content), header)
}

function fileForm({ id, bytes, createdAtMs, expiresAtMs, kind }: SealedObject, { name }: FileHeader) {
  return {
    id,
    object: 'file',
    bytes,
    created_at: Math.floor(createdAtMs / 1_000),
    expires_at: expiresAtMs === null ? null : Math.floor(expiresAtMs / 1_000),
    filename: name,
    purpose: kind === 'output' ? 'batch_output' : 'batch',
    status: 'processed',
    status_details: null,
  }
}

function isPurpose(value: unknown): value is keyof typeof PURPOSES {
  return typeof value === 'string' && Object.hasOwn(PURPOSES, value)
}
