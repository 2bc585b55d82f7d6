/**
 * startCoordinator: one process, one port. Web app, models, control sockets, signalling and relays over one HTTP(S) server; the core
 * decides. Clock, chance, keys and model files are handed in.
 */

import http, { type IncomingMessage } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { Duplex } from 'node:stream'
import fastify, { type FastifyInstance, type FastifyReply } from 'fastify'
import { AuditorProcess } from '../../auditor/index.ts'
import type { NetworkSummary, RowEncoding, ServerMessage } from '../../protocol/index.ts'
import {
  type Clock,
  isSessionId,
  type PeerId,
  required,
  type SessionId,
  type Sha256,
  type Signer,
  toHex,
  type VerifySignature,
} from '../../shared/index.ts'
import type { StarterPolicy } from '../accounts/index.ts'
import { AuditExchange, StageAudits } from '../audits/index.ts'
import { CoordinatorCore, CoordinatorError, costsOf, heldBytes, KV_BLOCK_POSITIONS, type SwarmModel } from '../core/index.ts'
import { type Action, type AuditDesk, Economy, type EconomyStore, type PeerPorts } from '../economy/index.ts'
import {
  type ApiRequestEntry,
  canaryDriver,
  type Gateway,
  type GatewayAccounts,
  type GatewayStorage,
  refuseBrokenPath,
  registerGateway,
  type UsageEvent,
} from '../gateway/index.ts'
import type { AuditorRequest, VerificationEffect, VerificationLimits } from '../verification/index.ts'
import { registerAuditRoutes } from './auditRoutes.ts'
import { CONTROL_PATH, ControlServer } from './controlServer.ts'
import { GatewayHost } from './gatewayHost.ts'
import { CONNECTIONS_MAX } from './limits.ts'
import { Metrics } from './metrics.ts'
import { registerModelRoutes, type ServedModel } from './modelRoutes.ts'
import { registerOperations } from './operations.ts'
import type { PathOptions } from './paths.ts'
import { RelayServer } from './relayServer.ts'
import { createSecureServer } from './securePort.ts'
import { SignalServer } from './signalServer.ts'
import { registerSecurityHeaders, registerWebApp } from './webApp.ts'

export interface CoordinatorOptions {
  readonly host: string
  /** 0: a free one. */
  readonly port: number
  /** PEM; without it the server speaks plain HTTP. */
  readonly tls?: { readonly cert: string; readonly key: string }
  /** At least one; the first is the default. */
  readonly models: readonly ServedModel[]
  /** What requesters may load to draft with. One with the id of a model that answers must be the same file. */
  readonly draftModels: readonly ServedModel[]
  /** Stages that a chain has at least, where there are enough peers. */
  readonly minStages: number
  readonly rowEncoding: RowEncoding
  readonly kernelVersion: string | null
  readonly paths: PathOptions
  /** Folder of the built web app. */
  readonly webRoot: string
  readonly signer: Signer
  /** Its time is coordinator time. */
  readonly clock: Clock
  /** Cryptographically strong. */
  readonly randomBytes: (count: number) => Uint8Array
  readonly sha256: Sha256
  readonly verify: VerifySignature
  /** What an operator should know; never prompts, never addresses. */
  readonly log: (line: string) => void
  /** Each request to the API, once it is over. */
  readonly onRequest?: (entry: ApiRequestEntry) => void
  /** See OperationsOptions. */
  readonly metricsToken: string | null
  /** Each request to the API that is over, once its cost is known or will not be. */
  readonly onUsage?: (event: UsageEvent) => void
  /** Null: no accounts, nobody pays and nobody is paid, for tests of other things. */
  readonly economy: CoordinatorEconomy | null
}

export interface CoordinatorEconomy {
  /** Nobody is admitted before it is there; closed with the coordinator. */
  readonly store: Promise<EconomyStore & GatewayStorage>
  readonly starters: StarterPolicy
  /** Micro-credits. */
  readonly reserveADay: bigint
  readonly verification: Partial<VerificationLimits>
  /** Left out: peers audit, and the coordinator's own engine where it has one. */
  readonly audits?: AuditDesk
  /** What accounts have done, for who records it. */
  readonly onAction?: (action: Action) => void
  /** Of this machine's memory, for an engine that audits what peers cannot, and the canaries that it needs; left out: none. */
  readonly ownEngineBytes?: number
  /** Everything that verification decides, for who wants to count. */
  readonly onVerification?: (effect: VerificationEffect, accountOf: (peerId: PeerId) => string | null) => void
}

export interface Coordinator {
  /** Origin with a slash at the end. */
  readonly url: string
  readonly port: number
  /** Before `close`: API requests are refused; resolves once those that run are answered or cut off, and paid for. */
  drain(): Promise<void>
  close(): Promise<void>
}

/** Rejects with a CoordinatorError `cannot-listen`, `no-model` or `bad-options`. */
export async function startCoordinator(options: CoordinatorOptions): Promise<Coordinator> {
  checkOptions(options)
  const signals = new SignalServer(options.clock)
  const relays = new RelayServer({ clock: options.clock, randomBytes: options.randomBytes, enabled: options.paths.relay })
  const exchange = new AuditExchange(options.randomBytes)
  const core = buildCore(options)
  const summary = () => core.summary(options.clock.nowMs())
  const gateway = new GatewayHost({
    ...options,
    summary,
    mayAdmit: (peerId, message, mayServe) => core.mayAdmit(peerId, message, options.clock.nowMs(), mayServe),
    served: (modelId, mayServe) => core.served(modelId, mayServe, options.clock.nowMs()),
    poolOf: (pool, account) => control.poolOf(pool, account),
  })
  const own = openAuditor(options, gateway)
  const control: ControlServer = new ControlServer({
    ...options,
    signals,
    relays,
    economy: options.economy === null ? null : buildEconomy(options, options.economy, { core, exchange, gateway, own }),
    core,
    shareOf: (peerId) => gateway.shareOf(peerId),
    defaultModelId: required(options.models[0], 'the first model').hashedManifest.manifest.id,
  })
  const { app, api } = await buildApp(options, { exchange, gateway, accounts: control.accounts, summary })
  app.server.maxConnections = CONNECTIONS_MAX
  app.server.on('upgrade', (request, socket, head) => upgrade(request, socket, head, { control, signals, relays }))
  const close = async () => {
    await api.close()
    await Promise.all([gateway.driver.close(), own?.close()])
    relays.close()
    await control.close()
    signals.close()
    await app.close()
  }
  try {
    await app.listen({ host: options.host, port: options.port })
  } catch (error) {
    await close()
    throw cannotListen(error, options)
  }
  const { port } = app.server.address() as AddressInfo
  const url = originOf(options, port)
  gateway.listens(new URL(url).origin)
  return { url, port, drain: () => api.drain(), close }
}

function checkOptions({ models, draftModels, minStages }: CoordinatorOptions): void {
  if (models.length === 0) throw new CoordinatorError('no-model', 'a coordinator needs a model to serve: name one')
  for (const { hashedManifest: draft } of draftModels) {
    const twin = models.find(({ hashedManifest: { manifest, hash } }) => manifest.id === draft.manifest.id && hash !== draft.hash)
    if (twin !== undefined)
      throw new CoordinatorError('bad-options', `two models are called ${draft.manifest.id}: rename the file of the draft model`)
  }
  if (!Number.isInteger(minStages) || minStages < 1 || minStages > 64)
    throw new CoordinatorError('bad-options', `a chain has 1 to 64 stages, not ${minStages}`)
}

/** Null: the coordinator computes nothing itself. */
function openAuditor({ models, economy }: CoordinatorOptions, gateway: GatewayHost): AuditorProcess | null {
  const memoryBytes = economy?.ownEngineBytes ?? 0
  if (memoryBytes === 0) return null
  const manifests = new Map(models.map(({ hashedManifest: { manifest } }) => [manifest.id, manifest] as const))
  return new AuditorProcess({
    origin: () => gateway.origin,
    manifests,
    memoryBytes,
    bytesOf: ({ modelId, firstLayer, endLayer, endPosition }) => {
      const costs = costsOf(required(manifests.get(modelId), `the model ${modelId}`))
      const kvPositions = endPosition + KV_BLOCK_POSITIONS
      return heldBytes(costs, { firstLayer, endLayer }, { weightForm: 'unpacked', kvPositions })
    },
  })
}

interface EconomyParts {
  readonly core: CoordinatorCore
  readonly exchange: AuditExchange
  readonly gateway: GatewayHost
  readonly own: AuditorProcess | null
}

function buildEconomy(
  { models, clock, randomBytes, sha256, verify, log }: CoordinatorOptions,
  economy: CoordinatorEconomy,
  { core, exchange, gateway, own }: EconomyParts,
): (ports: PeerPorts) => Economy {
  const configs = models.map(({ hashedManifest: { manifest } }) => [manifest.id, manifest.config] as const)
  const random = () => Buffer.from(randomBytes(4)).readUInt32LE() / 2 ** 32
  const newSessionId = () => sessionIdOf(randomBytes(16))
  const shared = { models: new Map(configs), newSessionId, random, randomBytes, clock, verify, log }
  const serving = ({ modelId, firstLayer, endLayer }: AuditorRequest) => core.serving(modelId, { firstLayer, endLayer }, clock.nowMs())
  const spares = ({ modelId, firstLayer, endLayer, endPosition }: AuditorRequest) =>
    core.spares(modelId, { firstLayer, endLayer }, endPosition, clock.nowMs())
  const pause = () => new Promise<void>((resolve) => setImmediate(resolve))
  return (ports) => {
    const tell = (peerId: PeerId, message: ServerMessage) => ports.tell(peerId, message)
    const audits = economy.audits ?? new StageAudits({ exchange, models: shared.models, serving, spares, own, tell, sha256, pause, log })
    const canaries = own === null ? null : canaryDriver(gateway.driver)
    return new Economy({ ...economy, ...shared, audits, canaries }, ports)
  }
}

function sessionIdOf(bytes: Uint8Array): SessionId {
  const id = toHex(bytes)
  if (!isSessionId(id)) throw new Error(`assertion failed: 16 random bytes gave "${id}"`)
  return id
}

function buildCore({ models, minStages, rowEncoding, kernelVersion, randomBytes }: CoordinatorOptions): CoordinatorCore {
  return new CoordinatorCore({
    models: models.map(({ hashedManifest: { manifest, hash } }): SwarmModel => {
      const weightBytes = manifest.tensors.reduce((sum, tensor) => sum + tensor.byteLength, 0)
      return { modelId: manifest.id, manifestHash: hash, name: manifest.name, weightBytes, costs: costsOf(manifest) }
    }),
    stagesMin: minStages,
    rowEncoding,
    kernelVersion,
    newSessionId: () => sessionIdOf(randomBytes(16)),
  })
}

interface AppParts {
  readonly exchange: AuditExchange
  readonly gateway: GatewayHost
  readonly accounts: GatewayAccounts | null
  readonly summary: () => NetworkSummary
}

async function buildApp(
  options: CoordinatorOptions,
  { exchange, gateway, accounts, summary }: AppParts,
): Promise<{ readonly app: FastifyInstance; readonly api: Gateway }> {
  const { tls } = options
  const app = fastify({
    // But for rows of audits nothing is sent here.
    bodyLimit: 1_024,
    forceCloseConnections: true,
    // A URL that cannot be decoded fails before there is a route.
    frameworkErrors: (error, request, reply) => {
      if (!refuseBrokenPath(request, reply, options)) answerError(error, reply, options.log)
    },
    serverFactory: (handler) => (tls === undefined ? http.createServer(handler) : createSecureServer(tls, handler)),
  })
  app.setErrorHandler<Error & { statusCode?: number }>((error, _request, reply) => answerError(error, reply, options.log))
  registerSecurityHeaders(app)
  registerModelRoutes(app, options, options.log)
  registerAuditRoutes(app, exchange)
  const { driver, models } = gateway
  const storage = options.economy?.store ?? null
  const onRequest = (entry: ApiRequestEntry) => {
    metrics.request(entry)
    options.onRequest?.(entry)
  }
  const api = await registerGateway(app, { ...options, driver, models, accounts, storage, onRequest })
  const metrics: Metrics = new Metrics({ summary, answersRunning: () => api.running.count })
  let isOpen = storage === null
  storage?.then(
    () => {
      isOpen = true
    },
    () => undefined,
  )
  registerOperations(app, { ...options, metrics, isReady: () => isOpen && !api.running.isClosing })
  await registerWebApp(app, options.webRoot)
  return { app, api }
}

/** Not async: @fastify/static waits for the reply that its error leads to. */
function answerError(error: Error & { statusCode?: number }, reply: FastifyReply, log: (line: string) => void): void {
  const status = error.statusCode ?? 500
  if (status >= 500) log(`a request failed: ${error.message}`)
  // What was said of the body that did not come.
  for (const header of ['content-length', 'content-range', 'etag', 'accept-ranges']) reply.removeHeader(header)
  const body =
    status < 500 ? { reason: 'bad-request', message: error.message } : { reason: 'internal', message: 'the coordinator failed; try again' }
  reply.code(status).type('application/json').header('cache-control', 'no-store').send({ error: body })
}

function upgrade(
  request: IncomingMessage,
  socket: Duplex,
  head: Buffer,
  { control, signals, relays }: { readonly control: ControlServer; readonly signals: SignalServer; readonly relays: RelayServer },
): void {
  socket.on('error', () => socket.destroy())
  const path = (request.url ?? '').split('?')[0] ?? ''
  let status: number | null = 404
  if (!isSameOrigin(request)) status = 403
  else if (path === CONTROL_PATH) status = control.upgrade(request, socket, head)
  else if (signals.isMine(path)) status = signals.upgrade(request, socket, head)
  else if (relays.isMine(path)) status = relays.upgrade(request, socket, head)
  if (status !== null)
    socket.end(`HTTP/1.1 ${status} ${http.STATUS_CODES[status] ?? 'Refused'}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n`)
}

/** Pages of other sites may not speak for their visitors; what is no browser sends no Origin. */
function isSameOrigin({ headers }: IncomingMessage): boolean {
  const { origin, host } = headers
  if (origin === undefined) return true
  return host !== undefined && URL.canParse(origin) && new URL(origin).host === host
}

function originOf({ host, tls }: CoordinatorOptions, port: number): string {
  const name = host === '0.0.0.0' || host === '::' ? 'localhost' : host.includes(':') ? `[${host}]` : host
  return `${tls === undefined ? 'http' : 'https'}://${name}:${port}/`
}

function cannotListen(error: unknown, { host, port }: CoordinatorOptions): CoordinatorError {
  const code = error instanceof Error && 'code' in error ? error.code : null
  const what =
    code === 'EADDRINUSE'
      ? `port ${port} of ${host} is taken by another program: choose another with --port`
      : code === 'EACCES'
        ? `this user may not listen on port ${port}: choose one above 1023 with --port`
        : code === 'EADDRNOTAVAIL' || code === 'ENOTFOUND'
          ? `${host} is no address of this machine: choose another with --host`
          : `cannot listen on ${host}:${port}: ${error instanceof Error ? error.message : String(error)}`
  return new CoordinatorError('cannot-listen', what, { cause: error })
}
