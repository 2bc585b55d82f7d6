/** registerGateway: the routes under /v1, with errors in the form that their clients read, whatever went wrong. */

import type { FastifyError, FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { ANSWER_KINDS } from './answerKinds.ts'
import { AnswerRoute, findModel, type GatewayOptions, newRequestId, REQUEST_ID } from './answerRoute.ts'
import { ApiError, apiErrorOf, faultOf, internalError } from './apiError.ts'
import { modelForm } from './modelForms.ts'
import { readAnyRequest } from './responseRequests.ts'
import { ClientStorage } from './storage/clientStorage.ts'

/** A long conversation; the model's context is shorter. */
const BODY_BYTES_MAX = 4 * 1024 * 1024

/** What it does beside answering requests. */
export interface Gateway {
  /** Before the driver closes: batches are left for the next coordinator. */
  close(): Promise<void>
}

export async function registerGateway(app: FastifyInstance, options: GatewayOptions): Promise<Gateway> {
  const answers = new AnswerRoute(options)
  const storage = ClientStorage.open(options, answers)
  await app.register(async (v1) => registerRoutes(v1, options, { answers, storage }), { prefix: '/v1' })
  return { close: async () => storage?.close() }
}

interface GatewayParts {
  readonly answers: AnswerRoute
  readonly storage: ClientStorage | null
}

function registerRoutes(v1: FastifyInstance, options: GatewayOptions, { answers, storage }: GatewayParts): void {
  const { models, clock, randomBytes, log } = options
  const created = Math.floor(clock.nowMs() / 1_000)
  v1.addHook('onRequest', async (_request, reply) => {
    reply.header(REQUEST_ID, newRequestId(randomBytes)).header('cache-control', 'no-store')
  })
  v1.setErrorHandler<FastifyError>((error, _request, reply) => sendError(error, reply, log))
  v1.setNotFoundHandler((request, reply) => {
    const what = `there is no ${request.method} ${request.url.split('?')[0]} here; docs/API.md lists what there is`
    sendError(new ApiError(404, what, { code: 'unknown_url' }), reply, log)
  })
  v1.get('/models', async (request) => {
    await answers.authorize(request, null)
    return { object: 'list', data: models.list().map((model) => modelForm(model, created, models)) }
  })
  v1.get<{ Params: { id: string } }>('/models/:id', async (request) => {
    await answers.authorize(request, null)
    return modelForm(findModel(models, request.params.id), created, models)
  })
  v1.get('/usage', async (request) => answers.usage.list((await answers.authorize(request, null))?.account ?? null))
  v1.get<{ Params: { id: string } }>('/usage/:id', async (request) => {
    const payer = await answers.authorize(request, null)
    const found = answers.usage.find(request.params.id, payer?.account ?? null)
    if (found !== null) return found
    throw new ApiError(404, `there is no request ${request.params.id} of this account in the last day; GET /v1/usage lists those there are`)
  })
  const kinds = storage === null ? ANSWER_KINDS : { ...ANSWER_KINDS, '/responses': storage.responses }
  for (const [path, kind] of Object.entries(kinds))
    v1.post(path, { bodyLimit: BODY_BYTES_MAX }, (request: FastifyRequest, reply: FastifyReply) => answers.handle(request, reply, kind))
  v1.post('/embeddings', { bodyLimit: BODY_BYTES_MAX }, async (request) => {
    await answers.authorize(request, null)
    throw NO_EMBEDDINGS
  })
  storage?.register(v1)
  v1.post('/estimate', { bodyLimit: BODY_BYTES_MAX }, (request: FastifyRequest) =>
    answers.estimate(request, (...given) => ({ asked: readAnyRequest(...given) })),
  )
}

const NO_EMBEDDINGS = new ApiError(
  404,
  'embeddings are not served: the models here were trained to write, and their hidden states find related texts badly; use a model that was made for it',
  { code: 'embeddings_not_served' },
)

/** What fastify itself refuses. */
const REFUSED: Readonly<Record<string, readonly [status: number, code: string, message: string]>> = {
  FST_ERR_CTP_BODY_TOO_LARGE: [413, 'body_too_large', 'the body is larger than it may be here; send less'],
  FST_ERR_CTP_INVALID_MEDIA_TYPE: [415, 'unsupported_media_type', 'the body must be JSON: send "Content-Type: application/json"'],
  FST_ERR_CTP_EMPTY_JSON_BODY: [400, 'invalid_json', 'the body is empty; send a JSON object'],
}

function sendError(
  error: Error & { readonly code?: string; readonly statusCode?: number },
  reply: FastifyReply,
  log: (line: string) => void,
) {
  const refused = error.code === undefined ? undefined : REFUSED[error.code]
  let told = apiErrorOf(error)
  if (refused !== undefined) told = new ApiError(refused[0], refused[2], { code: refused[1] })
  else if (told === null && error.statusCode !== undefined && error.statusCode < 500)
    told = new ApiError(error.statusCode, 'the body is not valid JSON', { code: 'invalid_json' })
  if (told === null) log(`a request to the gateway failed: ${faultOf(error)}`)
  const { status, headers, body } = told ?? internalError()
  void reply.code(status).headers(headers).send(body)
}
