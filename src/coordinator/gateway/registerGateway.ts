/** registerGateway: the routes under /v1, with errors in the form that their clients read, whatever went wrong. */

import type { FastifyError, FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { ANSWER_KINDS } from './answerKinds.ts'
import { AnswerRoute, findModel, type GatewayOptions, newRequestId, REQUEST_ID } from './answerRoute.ts'
import { ApiError, apiErrorOf, faultOf, internalError } from './apiError.ts'
import { registerJsonBodies } from './jsonBodies.ts'
import { modelForm } from './modelForms.ts'
import { watchMethods } from './otherMethods.ts'
import { openApiDocument } from './reference/openApi.ts'
import { readAnyRequest } from './responseRequests.ts'
import type { RunningAnswers } from './runningAnswers.ts'
import { ClientStorage } from './storage/clientStorage.ts'

/** A long conversation; the model's context is shorter. */
const BODY_BYTES_MAX = 4 * 1024 * 1024
const PREFIX = '/v1'

/** What its coordinator does with it. */
export interface Gateway {
  readonly running: Pick<RunningAnswers, 'count' | 'isClosing'>
  /** Nothing more is begun; resolves once what runs is answered or cut off, and paid for. Batches are left for the next coordinator. */
  drain(): Promise<void>
  /** Before the driver closes: batches are left for the next coordinator. */
  close(): Promise<void>
}

export async function registerGateway(app: FastifyInstance, options: GatewayOptions): Promise<Gateway> {
  const answers = new AnswerRoute(options)
  const storage = ClientStorage.open(options, answers)
  const described = JSON.stringify(openApiDocument({ hasStorage: storage !== null, needsKey: options.accounts !== null }))
  app.get('/openapi.json', async (_request, reply) => reply.type('application/json; charset=utf-8').send(described))
  await app.register(async (v1) => registerRoutes(v1, options, { answers, storage }), { prefix: PREFIX })
  const close = async () => storage?.close()
  const drain = async () => {
    await Promise.all([answers.drain(), close()])
  }
  return { running: answers.running, drain, close }
}

/** Of a path that fastify cannot read, before there is a route for it; false: it is none of the gateway's, and nothing was answered. */
export function refuseBrokenPath(
  request: FastifyRequest,
  reply: FastifyReply,
  options: Pick<GatewayOptions, 'randomBytes' | 'log'>,
): boolean {
  if (!request.url.startsWith(`${PREFIX}/`)) return false
  reply.headers(newHeaders(options.randomBytes))
  sendError(unknownUrl(request), reply, options.log)
  return true
}

interface GatewayParts {
  readonly answers: AnswerRoute
  readonly storage: ClientStorage | null
}

function registerRoutes(v1: FastifyInstance, options: GatewayOptions, { answers, storage }: GatewayParts): void {
  const { models, clock, randomBytes, log, onRequest } = options
  const created = Math.floor(clock.nowMs() / 1_000)
  const refuseOtherMethods = watchMethods(v1)
  registerJsonBodies(v1)
  v1.addHook('onClose', async () => answers.close())
  v1.addHook('onRequest', async (_request, reply) => {
    reply.headers(newHeaders(randomBytes))
    if (answers.running.isClosing) reply.header('connection', 'close')
  })
  if (onRequest !== undefined) answers.requests.watch(v1, (reply) => String(reply.getHeader(REQUEST_ID)), onRequest)
  v1.setErrorHandler<FastifyError>(async (error, request, reply) => {
    const refusal = isOfBody(error) ? await refusalOfKey(answers, request) : null
    answers.requests.notesOf(request).code = sendError(refusal ?? error, reply, log)
    return reply
  })
  // A route and no handler of what is not found: the web app's files, which are looked for at any path, would answer in their own form.
  v1.all('/*', async (request) => {
    throw unknownUrl(request)
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
  // Behind the routes of all plugins before it.
  void v1.register(async (last) => refuseOtherMethods(last))
}

const NO_EMBEDDINGS = new ApiError(
  404,
  'embeddings are not served: the models here were trained to write, and their hidden states find related texts badly; use a model that was made for it',
  { code: 'embeddings_not_served' },
)
function newHeaders(randomBytes: GatewayOptions['randomBytes']): Readonly<Record<string, string>> {
  return { [REQUEST_ID]: newRequestId(randomBytes), 'cache-control': 'no-store' }
}

function unknownUrl({ method, url }: FastifyRequest): ApiError {
  return new ApiError(404, `there is no ${method} ${url.split('?')[0]} here; docs/API.md lists what there is`, { code: 'unknown_url' })
}

/** Whether fastify has refused the body, before anybody looked at the key. */
function isOfBody(error: FastifyError): boolean {
  return apiErrorOf(error) === null && error.statusCode !== undefined && error.statusCode < 500
}

/** Why the key is refused, which is told before anything of the body is; null: it is not. */
async function refusalOfKey(answers: AnswerRoute, request: FastifyRequest): Promise<Error | null> {
  try {
    await answers.authorize(request, null)
    return null
  } catch (error) {
    return error instanceof Error ? error : internalError()
  }
}

/** What fastify itself refuses. */
const REFUSED: Readonly<Record<string, readonly [status: number, code: string, message: string]>> = {
  FST_ERR_CTP_BODY_TOO_LARGE: [413, 'body_too_large', 'the body is larger than it may be here; send less'],
  FST_ERR_CTP_INVALID_MEDIA_TYPE: [415, 'unsupported_media_type', 'the body must be JSON: send "Content-Type: application/json"'],
}

/** Returns the code that is told. */
function sendError(
  error: Error & { readonly code?: string; readonly statusCode?: number },
  reply: FastifyReply,
  log: (line: string) => void,
): string {
  const refused = error.code === undefined ? undefined : REFUSED[error.code]
  let told = apiErrorOf(error)
  if (refused !== undefined) told = new ApiError(refused[0], refused[2], { code: refused[1] })
  else if (told === null && error.statusCode !== undefined && error.statusCode < 500)
    told = new ApiError(error.statusCode, 'the body is not valid JSON', { code: 'invalid_json' })
  if (told === null) log(`a request to the gateway failed: ${faultOf(error)}`)
  const { status, headers, body, reason } = told ?? internalError()
  void reply.code(status).headers(headers).send(body)
  return reason
}
