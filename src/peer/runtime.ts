/** createPeerRuntime: the whole peer of one tab. Fills the store, carries out what the page asks; both roles, each its own peer. */

import { type ControlClient, sha256Of, signatureVerifier } from '../network/index.ts'
import type { Paths, VerdictMessage } from '../protocol/index.ts'
import { type Clock, type ErrorBody, type ManifestHash, type ModelId, TabswarmError, toErrorBody } from '../shared/index.ts'
import { deleteWeightCache, measureWeightCache, resetTuning } from '../worker/index.ts'
import { createAccountCalls } from './accountCalls.ts'
import { accountStateOf, pricesOf, statementPageOf, withAudit, withCharge, withHeld, withVerdict } from './accountView.ts'
import { type AskingRole, openAskingRole } from './askingRole.ts'
import type { ConnectionHost, HostAccount, PeerConnection } from './connection.ts'
import { Contribution } from './contribution.ts'
import { DraftModel, type DraftWorker } from './draftModel.ts'
import type { HeadAlarm } from './headWatch.ts'
import { type EngineWorker, Hosting } from './hosting.ts'
import { checkLedger, type HeadVault } from './ledgerCheck.ts'
import { type HttpFetch, ModelLibrary, type ModelText } from './modelLibrary.ts'
import { measureModelSpeed } from './modelSpeed.ts'
import { createOperatorCalls } from './operatorCalls.ts'
import { patiently } from './patience.ts'
import type { HostSignals } from './pressure.ts'
import { type RequesterPorts, startAsk } from './requester.ts'
import { createPeerStore } from './store.ts'
import { createTeamCalls } from './teamCalls.ts'
import type { Ask, PeerRuntime, PeerState, Reach } from './types.ts'

export interface RuntimeHost extends ConnectionHost {
  readonly account: Promise<HostAccount | null>
  /** The last head of the ledger that was checked here. */
  readonly heads: HeadVault
  readonly fetch: HttpFetch
  /** Absent in insecure contexts. */
  readonly storage: StorageManager | undefined
  readonly startWorker: () => EngineWorker
  readonly startDraftWorker: () => DraftWorker
  /** Tells what can be seen of the machine's load until the returned function is called. */
  readonly watchHost: (listen: (signals: Partial<HostSignals>) => void) => () => void
}

export function createPeerRuntime(host: RuntimeHost): PeerRuntime {
  const store = createPeerStore()
  const { clock, fetch, origin, storage, subtle } = host
  const library = new ModelLibrary({ origin, fetch, clock, sha256: sha256Of(subtle) })
  let draftModel: DraftModel | null = null
  const requester = openRequester(host, library, store, (request) => draftModel?.begin(request) ?? null)
  const control = () => requester.control()
  let contribution: Contribution | null = null
  const asks = new Set<Ask>()
  let storageMeasures = 0
  const measureStorage = async () => {
    if (storage === undefined) return
    const measure = ++storageMeasures
    const measured = await measureWeightCache(storage).catch(() => null)
    // A later measure may have come first.
    if (measured !== null && measure === storageMeasures) store.setState({ storage: measured })
  }
  void measureStorage()
  const showAccount = async () => {
    const account = await host.account
    if (account === null) return
    const { isKept, unsavedPhrase } = account
    store.setState(({ accountKeeping }) => ({ accountKeeping: { isKept, unsavedPhrase, hasCopy: accountKeeping?.hasCopy ?? null } }))
  }
  void showAccount()
  void host.account.then((account) => account?.onChange(() => void showAccount()))
  return {
    store,
    contribute(options) {
      contribution?.stop()
      // Asked for where it helps; browsers that refuse may evict, which costs a download.
      void storage?.persist().catch(() => false)
      const onStored = () => void measureStorage()
      const onAlarm = (alarm: HeadAlarm) => showAlarm(store, alarm)
      const onVerdict = (verdict: VerdictMessage) => showVerdict(store, verdict, clock)
      contribution = new Contribution({
        host: (events) =>
          new Hosting({ host, library, startWorker: host.startWorker, contribution: options, onStored, onVerdict, onAlarm, ...events }),
        watchHost: options.yieldsToOthers === false ? null : host.watchHost,
        clock,
        onState: (volunteer) => store.setState({ volunteer }),
        onPeer: (contributingAs) => store.setState({ contributingAs }),
      })
    },
    stopContributing() {
      contribution?.stop()
      contribution = null
    },
    resumeContributing: () => contribution?.resume(),
    ask(request, onProgress) {
      const ask = startAsk(requester, request, onProgress)
      asks.add(ask)
      void ask.answer.catch(() => undefined).finally(() => asks.delete(ask))
      return ask
    },
    measureModel: (modelId, onProgress, options) =>
      measureModelSpeed(
        { library, startWorker: host.startWorker, manifestHash: requester.manifestHash, onStored: () => void measureStorage() },
        modelId,
        onProgress,
        options,
      ),
    loadDraftModel(modelId, engine = 'auto') {
      draftModel?.stop()
      draftModel = null
      const offer = store.getState().draftOffers.find((known) => known.modelId === modelId)
      const onState = (state: PeerState['draftModel']) => store.setState({ draftModel: state })
      if (offer === undefined) return onState({ kind: 'failed', modelId, error: notOffered(modelId) })
      void storage?.persist().catch(() => false)
      const ports = { library, startWorker: host.startDraftWorker, target: () => requester.defaultModel(), clock, onState }
      draftModel = new DraftModel({ ...ports, onStored: () => void measureStorage() }, offer, engine)
    },
    unloadDraftModel() {
      draftModel?.stop()
      draftModel = null
    },
    statement: (month, cursor) => requester.statement(month, cursor),
    account: createAccountCalls({
      host,
      control,
      onTaken: () => void showAccount(),
      onRemovalNoted: () => store.setState({ removedAtMs: null }),
      onErased: () => void control().then((client) => keepCopy(client, host, store)),
    }),
    ledger: {
      check: async () => {
        const { account } = store.getState()
        if (account === null)
          throw new TabswarmError('offline', 'the coordinator has not said yet which account this is; try again in a moment')
        const client = await control()
        return checkLedger(account.accountId, {
          askHead: (seen) => patiently(clock, () => client.account({ kind: 'ledger-head', seen })),
          askLines: (from, size) => patiently(clock, () => client.account({ kind: 'proven-lines', from, size })),
          vault: host.heads,
          sha256: sha256Of(subtle),
          verify: signatureVerifier(subtle),
        })
      },
      forget: () => host.heads.forget(),
    },
    teams: createTeamCalls({ control, randomBytes: host.randomBytes }),
    operator: createOperatorCalls({ control, randomBytes: host.randomBytes }),
    async phraseSaved() {
      await (await host.account)?.forgetPhrase()
      await showAccount()
    },
    resetTuning,
    async deleteStorage() {
      await deleteWeightCache()
      await measureStorage()
    },
    dispose() {
      contribution?.stop()
      contribution = null
      draftModel?.stop()
      draftModel = null
      // Stages hear that their driver leaves: who only loses it keeps its memory for half a minute.
      for (const ask of asks) ask.stop()
      void Promise.allSettled([...asks].map(({ answer }) => answer)).then(() => requester.close())
    },
  }
}

interface Requester extends AskingRole {
  defaultModel(): Promise<ModelText>
  statement: PeerRuntime['statement']
}

/** The asking role of this tab, whose socket also watches the network. */
function openRequester(
  host: RuntimeHost,
  library: ModelLibrary,
  store: PeerRuntime['store'],
  beginDrafting: RequesterPorts['beginDrafting'],
): Requester {
  const { clock } = host
  const manifestHash = (modelId: ModelId) => patiently(clock, async () => announcedHash(store, modelId))
  const role = openAskingRole({
    host,
    library,
    manifestHash,
    beginDrafting,
    onHeld: (sessionId, held) => store.setState(({ bills }) => ({ bills: withHeld(bills, sessionId, held) })),
  })
  role.connection.then(
    (connection) => {
      watch(connection, library, clock, store)
      connection.control.on('state', ({ kind }) => {
        if (kind === 'online') void keepCopy(connection.control, host, store)
      })
      connection.control.on('verdict', (verdict) => showVerdict(store, verdict, clock))
      connection.heads.onAlarm((alarm) => showAlarm(store, alarm))
    },
    (error: unknown) => store.setState({ connection: { kind: 'offline', error: toErrorBody(error), retryInMs: Number.POSITIVE_INFINITY } }),
  )
  return {
    ...role,
    async defaultModel() {
      const { defaultModelId } = store.getState()
      if (defaultModelId === null) throw new TabswarmError('offline', 'this tab has not reached the coordinator yet; try again in a moment')
      return library.text(defaultModelId, await manifestHash(defaultModelId))
    },
    statement: (month, cursor) => patiently(clock, async () => statementPageOf(await (await role.control()).statement(month, cursor))),
  }
}

function reachOf({ iceServers, relay }: Paths): Reach {
  if (iceServers.length > 0) return 'everywhere'
  return relay ? 'relayed' : 'one-network'
}

function notOffered(modelId: ModelId): ErrorBody {
  return { reason: 'unknown-model', message: `the coordinator does not offer ${modelId} to draft with; start it with --draft-model` }
}

/** Says it again over each connection: another coordinator may answer, or one that has lost its store. */
async function keepCopy(control: ControlClient, host: RuntimeHost, store: PeerRuntime['store']): Promise<void> {
  const account = await host.account
  if (account === null || !account.isKept) return
  const hasCopy = await patiently(host.clock, () => control.account({ kind: 'keep-copy', copy: account.copy })).then(
    () => true,
    () => false,
  )
  store.setState(({ accountKeeping }) => ({ accountKeeping: accountKeeping && { ...accountKeeping, hasCopy } }))
}

/** An account that this browser did not have before may be one that it was left with. */
async function readRemoval(control: ControlClient, clock: Clock, store: PeerRuntime['store']): Promise<void> {
  const told = await patiently(clock, () => control.account({ kind: 'devices' })).catch(() => null)
  if (told !== null) store.setState({ removedAtMs: told.removedAtMs })
}

/** A list that cannot be had offers nothing and names no price; the next connection asks again. */
async function readModels(library: ModelLibrary, store: PeerRuntime['store']): Promise<void> {
  const { models, draftModels } = await library.list().catch(() => ({ models: [], draftModels: [] }))
  const draftOffers = draftModels.map(({ id, manifestHash, name, fileBytes }) => ({ modelId: id, manifestHash, name, fileBytes }))
  store.setState({ draftOffers, prices: pricesOf(models) })
}

function watch({ control, peerId }: PeerConnection, library: ModelLibrary, clock: Clock, store: PeerRuntime['store']): void {
  control.on('network', ({ summary }) => store.setState({ network: summary }))
  control.on('account', (message) => {
    const isOther = store.getState().account?.accountId !== message.accountId
    store.setState({ account: accountStateOf(message) })
    if (isOther) void readRemoval(control, clock, store)
  })
  control.on('settled', ({ sessionId, charged }) =>
    store.setState(({ bills }) => ({ bills: withCharge(bills, sessionId, BigInt(charged)) })),
  )
  control.on('audited', (message) => store.setState(({ audits }) => ({ audits: withAudit(audits, message) })))
  control.on('state', (state) => {
    switch (state.kind) {
      case 'connecting':
        return store.setState({ connection: { kind: 'connecting' } })
      case 'online':
        store.setState({
          connection: { kind: 'online', peerId },
          defaultModelId: state.welcome.defaultModelId,
          reach: reachOf(state.welcome.paths),
        })
        void readModels(library, store)
        return void control.send({ type: 'watch' })
      case 'offline':
        return store.setState({ connection: { kind: 'offline', error: state.error, retryInMs: state.retryInMs }, network: null })
      case 'closed':
        return store.setState({ connection: { kind: 'offline', error: state.error, retryInMs: Number.POSITIVE_INFINITY }, network: null })
    }
  })
}

function showVerdict(store: PeerRuntime['store'], verdict: VerdictMessage, clock: Clock): void {
  store.setState((state) => withVerdict(state, verdict, clock.nowMs()))
}

/** The first one: what this tab finds after it tells nothing new. */
function showAlarm(store: PeerRuntime['store'], alarm: HeadAlarm): void {
  store.setState(({ ledgerAlarm }) => ({ ledgerAlarm: ledgerAlarm ?? alarm }))
}

function announcedHash(store: PeerRuntime['store'], modelId: ModelId): ManifestHash {
  const { network } = store.getState()
  if (network === null) throw new TabswarmError('offline', 'this tab is not connected to the coordinator; it is trying again')
  const swarm = network.swarms.find((candidate) => candidate.modelId === modelId)
  if (swarm === undefined)
    throw new TabswarmError('unknown-model', `the model ${modelId} is not served here; reload the page to see which are`)
  return swarm.manifestHash
}
