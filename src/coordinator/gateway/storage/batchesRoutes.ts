/** The routes of batches: made of a file, looked at, listed, cancelled. */

import type { FastifyInstance, FastifyRequest } from 'fastify'
import * as v from 'valibot'
import { type Pool, required } from '../../../shared/index.ts'
import type { BatchRecord, NewBatch } from '../../store/index.ts'
import { answerKindAt } from '../answerKinds.ts'
import type { AnswerRoute } from '../answerRoute.ts'
import { ApiError, badParameter } from '../apiError.ts'
import type { Parameters } from '../parameters.ts'
import { splitPolicy } from '../policy.ts'
import { metadataSchema, read } from '../requests.ts'
import { type BatchHeader, batchForm, isEnded } from './batchForms.ts'
import { readBatchInput } from './batchInput.ts'
import type { BatchRunner } from './batchRunner.ts'
import { type Caller, callerOf, listForm, pageOf } from './callers.ts'
import { type ClientObjects, untilFull } from './clientObjects.ts'
import type { FileHeader } from './filesRoutes.ts'
import { KEPT_MS } from './ports.ts'

/** `completion_window`: OpenAI's only one. */
const WINDOW_MS = 24 * 3_600_000
/** Of one batch: each is looked up in the key's scope. */
const MODELS_MAX = 8

export const BATCH_PARAMETERS: Parameters = {
  honoured: ['input_file_id', 'endpoint', 'completion_window', 'metadata'],
  inert: [],
  refused: { output_expires_after: () => false },
}
export const batchRequestSchema = v.strictObject({
  input_file_id: v.pipe(v.string(), v.maxLength(100)),
  endpoint: v.pipe(v.string(), v.maxLength(100)),
  completion_window: v.literal('24h'),
  metadata: v.optional(metadataSchema),
})

export interface BatchesOptions {
  readonly answers: Pick<AnswerRoute, 'authorize'>
  readonly objects: ClientObjects
  readonly runner: BatchRunner
}

export function registerBatches(v1: FastifyInstance, options: BatchesOptions): void {
  const { answers, objects, runner } = options
  v1.post('/batches', async (request) => create(options, await callerOf(answers, request), request))
  v1.get('/batches', async (request) => {
    const { key } = await callerOf(answers, request)
    const page = pageOf(request.query)
    const found = await objects.list(key, { ...page, limit: page.limit + 1, kinds: ['batch'] })
    const records = await (await objects.storage).batches.of(found.map(({ id }) => id))
    const forms = found.flatMap((object) => {
      const record = records.find(({ id }) => id === object.id)
      return record === undefined ? [] : [batchForm(record, object.createdAtMs, objects.header<BatchHeader>(key, object))]
    })
    return listForm(forms, page)
  })
  v1.get<{ Params: { id: string } }>('/batches/:id', async (request) => show(objects, await callerOf(answers, request), request.params.id))
  v1.post<{ Params: { id: string } }>('/batches/:id/cancel', async (request) => {
    const caller = await callerOf(answers, request)
    const { id } = await objects.find(caller.key, ['batch'], request.params.id)
    const { batches } = await objects.storage
    const isMoved = await batches.move(id, ['validating', 'in_progress'], 'cancelling')
    if (!isMoved && isEnded(await recordOf(objects, caller, id)))
      throw new ApiError(409, `${id} has ended already`, { code: 'batch_ended' })
    if (isMoved) runner.cancel(id)
    return show(objects, caller, id)
  })
}

async function create({ answers, objects, runner }: BatchesOptions, caller: Caller, request: FastifyRequest): Promise<object> {
  const { account, key } = caller
  const { body, policy } = splitPolicy(request.body, request.headers)
  if (policy.maxPrice !== null)
    throw badParameter('tabswarm.max_price', 'a batch has no max_price: ask POST /v1/estimate for its lines', 'unsupported_policy')
  const { input_file_id: fileId, endpoint, metadata = null } = read(body, BATCH_PARAMETERS, batchRequestSchema)
  if (answerKindAt(endpoint) === null) throw badParameter('endpoint', 'endpoint is /v1/chat/completions, /v1/completions or /v1/responses')
  const input = await objects.find(key, ['file'], fileId, 'input_file_id')
  const { name } = objects.header<FileHeader>(key, input)
  const { lines, faults } = readBatchInput(await objects.whole(key, input), endpoint)
  const models = new Set(lines.map(({ body: { model } }) => model))
  if (models.size > MODELS_MAX) throw badParameter('input_file_id', `a batch asks at most ${MODELS_MAX} models, and this ${models.size}`)
  let pool: Pool = 'public'
  for (const model of models) pool = required((await answers.authorize(request, { model, pool: policy.pool }))?.pool, 'a pool')
  const [id, outputFile, errorFile] = [objects.newId('batch_'), objects.newId('file-'), objects.newId('file-')]
  const nowMs = objects.nowMs()
  const status = faults.length > 0 ? 'failed' : 'validating'
  const endsAtMs = nowMs + WINDOW_MS
  const shared = { inputFile: fileId, outputFile, errorFile, endpoint, endsAtMs, total: lines.length }
  const batch: NewBatch = { id, account, pool, ...shared, status, times: { [status]: nowMs } }
  const header: BatchHeader = { metadata, errors: faults }
  const output = (file: string, what: string) =>
    objects.row(key, {
      id: file,
      kind: 'output',
      header: { name: `${id}_${what}_${name}`.slice(0, 255) } satisfies FileHeader,
      expiresAtMs: null,
    })
  const { batches, sealed } = await objects.storage
  // It is listed from its beginning on, and stays a day longer than it may last.
  const own = objects.row(key, { id, kind: 'batch', header, expiresAtMs: endsAtMs + KEPT_MS })
  await untilFull(batches.add(batch, faults.length > 0 ? [own] : [own, output(outputFile, 'output'), output(errorFile, 'error')]))
  await sealed.expire([fileId], endsAtMs + KEPT_MS)
  runner.added(key)
  return show(objects, caller, id)
}

async function show(objects: ClientObjects, caller: Caller, id: string): Promise<object> {
  const object = await objects.find(caller.key, ['batch'], id)
  return batchForm(await recordOf(objects, caller, id), object.createdAtMs, objects.header<BatchHeader>(caller.key, object))
}

async function recordOf(objects: ClientObjects, { key }: Caller, id: string): Promise<BatchRecord> {
  const record = await (await objects.storage).batches.find(id, key.keyId)
  if (record === null) throw new ApiError(404, `there is no ${id.slice(0, 100)} of this API key any more`, { code: 'not_found' })
  return record
}
