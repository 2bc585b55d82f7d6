/**
 * What a page asks of its account: to bring one back by its recovery phrase, to bring devices together, API keys. The tab's own connection speaks for the account that
 * this browser has; one that a phrase has opened speaks for itself for a moment, over a connection of its own.
 */

import type { ControlClient } from '../network/index.ts'
import type { ExportPart } from '../protocol/index.ts'
import { TabswarmError } from '../shared/index.ts'
import type { AccountCalls, FoundByPhrase } from './accountTypes.ts'
import { apiKeyOf } from './accountView.ts'
import { type ConnectionHost, type FoundAccount, type HostAccount, PeerConnection } from './connection.ts'
import { patiently } from './patience.ts'

export interface AccountCallsOptions {
  readonly host: ConnectionHost & { readonly account: Promise<HostAccount | null> }
  /** The tab's own connection. */
  readonly control: () => Promise<ControlClient>
  /** What this browser has of its account is another now. */
  readonly onTaken: () => void
  readonly onRemovalNoted: () => void
  /** It has another account now, of the same key. */
  readonly onErased: () => void
}

/** From the opening of a connection to its welcome, as the other's deadline; the socket tries again meanwhile. */
const ONLINE_DEADLINE_MS = 20_000

export function createAccountCalls({ host, control, onTaken, onRemovalNoted, onErased }: AccountCallsOptions): AccountCalls {
  const join = async (code: string) => void (await (await control()).account({ kind: 'join', code }))
  return {
    async findByPhrase(phrase): Promise<FoundByPhrase> {
      const account = await host.account
      if (account === null)
        throw new TabswarmError('insecure-context', 'this page has no keys, so no account can come back to it; open it by https')
      const client = await control()
      const found = await account.find(phrase, async (lookup) => (await client.account({ kind: 'find-copy', lookup })).copy)
      if (found.isSame) return { kind: 'same' }
      const take = async () => {
        // First this browser's key joins that account: whatever its tabs earn meanwhile, or have earned, is not lost.
        await join(await codeOf(host, found))
        await found.take()
        onTaken()
      }
      return { kind: 'other', take }
    },
    async pairingCode() {
      const client = await control()
      const { code, expiresAtMs } = await client.account({ kind: 'pair' })
      return { code, lifeMs: Math.max(0, expiresAtMs - client.coordinatorNowMs()) }
    },
    join,
    async devices() {
      const { devices, own } = await (await control()).account({ kind: 'devices' })
      return devices.map((device) => ({ ...device, isOwn: device.publicKey === own }))
    },
    async nameDevice(publicKey, name) {
      await (await control()).account({ kind: 'name-device', publicKey, name })
    },
    async removeDevice(publicKey) {
      await (await control()).account({ kind: 'remove-device', publicKey })
    },
    async removalNoted() {
      await (await control()).account({ kind: 'removal-noted' })
      onRemovalNoted()
    },
    async apiKeys(teamId) {
      return (await (await control()).account({ kind: 'keys', teamId })).keys.map(apiKeyOf)
    },
    async createApiKey(teamId, name, { models, pools, budget, requestsAMinute }) {
      const lists = { models: models && [...models], pools: pools && [...pools] }
      const scope = { ...lists, budget: budget === null ? null : budget.toString(), requestsAMinute }
      const { key, text } = await (await control()).account({ kind: 'create-key', teamId, name, ...scope })
      return { key: apiKeyOf(key), text }
    },
    async revokeApiKey(teamId, keyId) {
      await (await control()).account({ kind: 'revoke-key', teamId, keyId })
    },
    exportAll: async () => exportOf(await control(), host),
    async erase() {
      await (await control()).account({ kind: 'erase' })
      onErased()
    },
  }
}

/** As `tabswarm account export` prints it. */
async function exportOf(control: ControlClient, { clock }: ConnectionHost): Promise<string> {
  const read = async (part: ExportPart) => {
    const all: unknown[] = []
    for (let from: number | null = 0; from !== null; ) {
      const at: number = from
      const { records, next } = await patiently(clock, () => control.account({ kind: 'export', part, from: at }))
      all.push(...records)
      from = next
    }
    return all
  }
  const [facts] = await read('facts')
  const whole = { ...(facts as object | undefined), keys: await read('keys'), ledger: await read('ledger') }
  return `${JSON.stringify(whole, null, 2)}\n`
}

/** A pairing code of that account, over a connection that ends with it. */
async function codeOf(host: ConnectionHost, found: FoundAccount): Promise<string> {
  const connection = await PeerConnection.open(
    { ...host, account: Promise.resolve(found) },
    { load: async () => ({ sessions: 0, kvPositionsFree: 0 }), framePlace: 'page', onIncoming: (link) => link.close() },
  )
  try {
    await online(connection.control, host)
    return (await connection.control.account({ kind: 'pair' })).code
  } finally {
    connection.close()
  }
}

/** Resolves with the socket's welcome. */
function online(control: ControlClient, { clock }: ConnectionHost): Promise<void> {
  return new Promise((resolve, reject) => {
    const end = (error: TabswarmError | null) => {
      cancel()
      unsubscribe()
      if (error === null) resolve()
      else reject(error)
    }
    const cancel = clock.after(ONLINE_DEADLINE_MS, () =>
      end(new TabswarmError('timeout', `the coordinator did not answer within ${ONLINE_DEADLINE_MS / 1_000} s; try again`)),
    )
    const unsubscribe = control.on('state', (state) => {
      if (state.kind === 'online') end(null)
      else if (state.kind === 'closed') end(new TabswarmError(state.error.reason, state.error.message))
    })
  })
}
