/**
 * `tabswarm serve`: the coordinator with its web app, on this machine or for a whole network. `--volunteers N` opens headless
 * volunteer tabs beside it, so that a stranger can try everything on one machine.
 */

import type { Command } from 'commander'
import type { EngineChoice } from '../peer/index.ts'
import type { CoordinatorStore, ServerOptions } from '../server.ts'
import { TabswarmError } from '../shared/index.ts'
import { ActionFile } from './actionFile.ts'
import { DRAFT_MODEL_OPTION, resolveDraftModel } from './draftModel.ts'
import { printLine, printNote, progressPrinter, UsageError, wholeNumber } from './output.ts'
import { addPathOptions, type PathFlags, pathOptions } from './paths.ts'
import { type LogForm, parseLogForm, serverLogs } from './serverLogs.ts'
import { addStoreOption, type StoreFlags, storePlace } from './storePlace.ts'
import { addUsageOptions, openUsageSinks, type UsageFlags } from './usageSinks.ts'
import { parseWire, rowEncodingOf, WIRE_DEFAULT, WIRE_HELP, type WireForm } from './wire.ts'

interface ServeOptions extends PathFlags, StoreFlags, UsageFlags {
  readonly port: number
  readonly host: string
  readonly https: boolean
  readonly cert?: string
  readonly key?: string
  readonly volunteers: number
  readonly model: string
  readonly draftModel?: string
  readonly minStages: number
  readonly engine: EngineChoice
  readonly wire: WireForm
  readonly log: LogForm
  readonly auditMemory: number
}

/** What a server tells beside its log. */
type Told = Required<Pick<ServerOptions, 'onUsage' | 'onAction'>>

const DEFAULT_PORT = 8787
const METRICS_TOKEN_VARIABLE = 'TABSWARM_METRICS_TOKEN'
/** Taken only while the coordinator audits: enough for the whole default model in any form. */
const AUDIT_MEMORY_MB = 2_048
/** A headless volunteer has pulled, checked and loaded its span by then, on a slow machine too. */
const VOLUNTEER_TIMEOUT_MS = 300_000

export function registerServeCommand(program: Command): void {
  const command = program
    .command('serve')
    .description('start the coordinator with the web app: contribute, chat, benchmark')
    .option('--port <port>', 'TCP port, 0 for a free one', wholeNumber('--port', 0, 65_535), DEFAULT_PORT)
    .option('--host <address>', 'address to listen on; 0.0.0.0 for the whole network', '127.0.0.1')
    .option('--https', 'serve over HTTPS with a certificate made and kept by this machine', false)
    .option('--cert <file>', 'certificate in PEM, instead of the own one')
    .option('--key <file>', 'its private key in PEM')
    .option('--model <id|file|url>', 'the model to serve', 'default')
    .option(DRAFT_MODEL_OPTION, 'a smaller model with the same vocabulary, which requesters may load to draft in their own tab')
    .option('--min-stages <n>', 'tabs that share the model once there are enough', wholeNumber('--min-stages', 1, 64), 2)
    .option('--volunteers <n>', 'headless volunteer tabs to open beside it', wholeNumber('--volunteers', 0, 16), 0)
    .option('--engine <engine>', 'engine of those tabs: webgpu, wasm (no GPU), or auto: the faster one', parseEngine, 'auto')
    .option('--wire <form>', WIRE_HELP, parseWire, WIRE_DEFAULT)
    .option(
      '--log <form>',
      'text: notes for a person; json: a line of JSON for each of them and for each API request',
      parseLogForm,
      'text',
    )
    .option(
      '--audit-memory <MB>',
      'memory for audits that no tab can do, on this machine, one at a time; 0: none',
      wholeNumber('--audit-memory', 0, 1_000_000),
      AUDIT_MEMORY_MB,
    )
  addUsageOptions(addPathOptions(addStoreOption(command))).action(serve)
}

/** As the peer's, which this command does not load before it is needed. */
const ENGINES: readonly EngineChoice[] = ['webgpu', 'wasm', 'auto']

export function parseEngine(text: string): EngineChoice {
  const known = ENGINES.find((choice) => choice === text)
  if (known === undefined) throw new UsageError(`--engine must be one of ${ENGINES.join(', ')}, not "${text}"`)
  return known
}

async function serve(options: ServeOptions): Promise<void> {
  if ((options.cert === undefined) !== (options.key === undefined)) throw new UsageError('--cert and --key belong together: give both')
  const place = storePlace(options, process.env)
  const usage = await openUsageSinks(options, process.env)
  const actions = new ActionFile(options.data, printNote)
  const { openServerStore } = await import('../server.ts')
  // Opens while model and web app are made ready.
  const store = openServerStore(place)
  store.catch(() => undefined)
  try {
    await serveWith(options, store, { ...usage, onAction: (action) => actions.push(action) })
  } finally {
    await Promise.all([usage.close(), actions.close()])
    await store.then((opened) => opened.close()).catch(() => undefined)
  }
}

/** What is wrong with the store ends it, before anybody is told an address. */
async function serveWith(options: ServeOptions, store: Promise<CoordinatorStore>, { onUsage, onAction }: Told): Promise<void> {
  const paths = pathOptions(options, process.env)
  const { createServer } = await import('../server.ts')
  const { ensureWebApp, ownCertificate, readCertificate, resolveModel } = await import('../node/index.ts')
  const model = await resolveModel(options.model, progressPrinter('model'))
  const draftModels = options.draftModel === undefined ? [] : [await resolveDraftModel(options.draftModel, model)]
  const webRoot = await ensureWebApp(printNote)
  const secure = options.https || options.cert !== undefined
  const tls =
    options.cert !== undefined && options.key !== undefined
      ? await readCertificate(options.cert, options.key)
      : secure
        ? await ownCertificate()
        : undefined
  await store
  const logs = await serverLogs(options.log)
  const metricsToken = process.env[METRICS_TOKEN_VARIABLE] ?? ''
  const coordinator = await createServer({
    store,
    host: options.host,
    port: options.port,
    models: [model],
    draftModels,
    minStages: options.minStages,
    webRoot,
    rowEncoding: rowEncodingOf(options.wire),
    paths,
    ownEngineBytes: options.auditMemory * 1e6,
    ...logs,
    onUsage,
    onAction,
    ...(metricsToken === '' ? {} : { metricsToken }),
    ...(tls === undefined ? {} : { tls }),
  })
  const closing = new AbortController()
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => closing.abort())
  await announce(coordinator.port, options, secure)
  try {
    const tabs = await openVolunteers(options, coordinator.port, secure, closing.signal)
    if (tabs !== null) printNote(`${options.volunteers} volunteer tabs are serving`)
    if (!closing.signal.aborted)
      await new Promise<void>((resolve) => closing.signal.addEventListener('abort', () => resolve(), { once: true }))
    logs.log('shutting down: answers that are under way may finish; a second signal ends at once')
    await coordinator.drain()
    await tabs?.close()
  } finally {
    await coordinator.close()
  }
}

/** The addresses to open, as text and, for other machines, as a QR code. */
async function announce(port: number, options: ServeOptions, secure: boolean): Promise<void> {
  const { lanAddresses } = await import('../node/index.ts')
  const scheme = secure ? 'https' : 'http'
  const everywhere = options.host === '0.0.0.0' || options.host === '::'
  const local = everywhere || options.host === '127.0.0.1' || options.host === '::1' ? 'localhost' : options.host
  printLine(`Tabswarm is running: ${scheme}://${local.includes(':') ? `[${local}]` : local}:${port}/`)
  if (!everywhere) return
  const address = lanAddresses()[0]
  if (address === undefined) return printLine('This machine has no address on a network.')
  const url = `${scheme}://${address.includes(':') ? `[${address}]` : address}:${port}/`
  printLine(`On other machines of this network: ${url}`)
  if (!secure) printLine('Browsers allow WebGPU and keys on secure addresses only: for other machines, start with --https.')
  const { default: qrcode } = await import('qrcode-terminal')
  qrcode.generate(url, { small: true }, printLine)
}

async function openVolunteers(
  options: ServeOptions,
  port: number,
  secure: boolean,
  signal: AbortSignal,
): Promise<{ close(): Promise<void> } | null> {
  if (options.volunteers === 0) return null
  const { launchChromium, openVolunteerTab } = await import('../node/index.ts')
  printNote(`opening ${options.volunteers} headless volunteer tabs`)
  const browser = await launchChromium({ webGpu: true, outlivesSignals: true })
  const giveUp = () => void browser.close()
  signal.addEventListener('abort', giveUp, { once: true })
  try {
    const url = `${secure ? 'https' : 'http'}://localhost:${port}/`
    const tabs = await Promise.all(
      Array.from({ length: options.volunteers }, () =>
        openVolunteerTab(browser, { url, latencyMs: 0, pledgeMb: 1_024, engine: options.engine, ignoreCertificate: secure }),
      ),
    )
    await Promise.all(tabs.map((tab) => tab.serving(VOLUNTEER_TIMEOUT_MS)))
    // From here on answers may need them for a while longer.
    signal.removeEventListener('abort', giveUp)
    return browser
  } catch (error) {
    await browser.close()
    if (signal.aborted) return null
    throw error instanceof TabswarmError
      ? error
      : new TabswarmError('volunteers', `the volunteer tabs did not start: ${String(error)}`, { cause: error })
  }
}
