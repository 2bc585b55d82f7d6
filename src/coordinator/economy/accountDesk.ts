/**
 * AccountDesk: what peers ask of their own accounts beside statements: locked copies of keys, devices, API keys, an export, the end.
 * What any of it means is the store's; here it is whose account it is about.
 */

import {
  type AccountAnswer,
  type AccountAsk,
  type ClientMessage,
  type ListedApiKey,
  PROVEN_LINES_MAX,
  type ServerMessage,
} from '../../protocol/index.ts'
import { type Clock, type PeerId, toBase64Url, unreachable } from '../../shared/index.ts'
import { AccountError, type ApiKey } from '../accounts/index.ts'
import { type Action, actionOf } from './actions.ts'
import { ACCOUNT_RATE, ACCOUNTS_AT_ONCE } from './limits.ts'
import { isOperatorAsk, type OperatorDesk } from './operatorDesk.ts'
import { type IdentifiedPeer, identityOf, type PeerAccounts } from './peerAccounts.ts'
import type { EconomyStore } from './ports.ts'
import { type Refused, RequestGate } from './requestGate.ts'
import { isTeamAsk, type TeamDesk } from './teamDesk.ts'

type AccountRequest = Extract<ClientMessage, { type: 'account-request' }>
type AccountAnswered = Extract<ServerMessage, { type: 'account-answer' }>

export interface AccountDeskOptions {
  readonly store: () => Promise<Pick<EconomyStore, 'accounts' | 'devices' | 'recovery' | 'pairing' | 'keys' | 'exports' | 'ledger'>>
  readonly operators: Pick<OperatorDesk, 'answer'>
  readonly teams: Pick<TeamDesk, 'answer' | 'mustOwn'>
  readonly peers: Pick<PeerAccounts, 'get' | 'accountOf' | 'moved' | 'connectedSubjects'>
  /** What was done, once it is. */
  readonly onAction: (action: Action) => void
  readonly clock: Clock
  readonly log: (line: string) => void
}

/** Who asks, as it has proven. */
interface Asker {
  readonly peer: IdentifiedPeer
  readonly account: string
}

type DeviceAsk = Extract<AccountAsk, { kind: (typeof DEVICE_KINDS)[number] }>
type KeyAsk = Extract<AccountAsk, { kind: (typeof KEY_KINDS)[number] }>
type AnswerTo<Ask extends AccountAsk> = Extract<AccountAnswer, { kind: Ask['kind'] }>

const DEVICE_KINDS = ['pair', 'join', 'devices', 'name-device', 'remove-device', 'removal-noted'] as const
const KEY_KINDS = ['keys', 'create-key', 'revoke-key'] as const
const TOO_MANY = { reason: 'too-many-requests', message: 'this tab asks for too much of its account; wait a moment' }

export class AccountDesk {
  readonly #options: AccountDeskOptions
  readonly #gate: RequestGate

  constructor(options: AccountDeskOptions) {
    this.#options = options
    this.#gate = new RequestGate({ ...options, rate: ACCOUNT_RATE, atOnce: ACCOUNTS_AT_ONCE, tooMany: TOO_MANY })
  }

  /** Rules A1 … A13, T1 … T6, O1 … O5, E13 and E14. Never rejects. */
  answer(peerId: PeerId, { requestId, ask }: AccountRequest): Promise<AccountAnswered | Refused> {
    return this.#gate.answer(peerId, requestId, async () => {
      const peer = this.#options.peers.get(peerId)
      if (peer === null) throw new AccountError('unknown', 'this tab has left')
      const account = await this.#options.peers.accountOf(peerId)
      const answer = await this.#answer({ peer, account }, ask)
      const action = actionOf(account, ask, answer)
      if (action !== null) this.#options.onAction(action)
      return { type: 'account-answer', requestId, answer }
    })
  }

  tick(nowMs: number): void {
    this.#gate.tick(nowMs)
  }

  async #answer(asker: Asker, ask: AccountAsk): Promise<AccountAnswer> {
    const { store, operators, teams } = this.#options
    const { peer, account } = asker
    if (isOperatorAsk(ask)) return operators.answer(account, ask)
    if (isTeamAsk(ask)) return teams.answer(peer, account, ask)
    if (isDeviceAsk(ask)) return this.#device(asker, ask)
    if (isKeyAsk(ask)) return this.#key(account, ask)
    const { recovery, exports, ledger } = await store()
    const { kind } = ask
    switch (kind) {
      case 'keep-copy': {
        const { publicKey, ...copy } = ask.copy
        if (peer.accountKey === null || publicKey !== toBase64Url(peer.accountKey))
          throw new AccountError('not-allowed', 'a tab may keep a copy of its own account’s key only')
        await recovery.keep(identityOf(peer), copy)
        return { kind }
      }
      case 'find-copy': {
        const { subject, iv, wrapped } = await recovery.find(ask.lookup, peer.address)
        return { kind, copy: { publicKey: subject, iv, wrapped } }
      }
      case 'export': {
        const read = { facts: () => exports.facts(account), keys: exports.keys.bind(exports), ledger: exports.lines.bind(exports) }
        const { records, next } = await read[ask.part](account, ask.from)
        return { kind, records: [...records], next }
      }
      case 'ledger-head': {
        const head = await ledger.head()
        const path = head === null || ask.seen === null || ask.seen > head.size ? [] : await ledger.consistency(ask.seen, head.size)
        return { kind, head, path: [...path] }
      }
      case 'ledger-path': {
        const size = (await ledger.head())?.size ?? 0
        return { kind, path: ask.from <= ask.to && ask.to <= size ? [...(await ledger.consistency(ask.from, ask.to))] : null }
      }
      case 'proven-lines': {
        const size = Math.min(ask.size, (await ledger.head())?.size ?? 0)
        const lines = await ledger.proven(account, ask.from, size, PROVEN_LINES_MAX)
        const last = lines.at(-1)
        const next = last === undefined || lines.length < PROVEN_LINES_MAX ? null : last.sequence + 1
        return { kind, lines: lines.map(({ path, ...line }) => ({ ...line, path: [...path] })), next }
      }
      case 'erase':
        await this.#erase(asker)
        return { kind }
      default:
        return unreachable(kind)
    }
  }

  async #device({ peer, account }: Asker, ask: DeviceAsk): Promise<AnswerTo<DeviceAsk>> {
    const { store, peers } = this.#options
    const { devices, pairing } = await store()
    const own = identityOf(peer)
    const { kind } = ask
    switch (kind) {
      case 'pair': {
        const { text, expiresAtMs } = await pairing.create(account)
        return { kind, code: text, expiresAtMs }
      }
      case 'join': {
        const accountId = await pairing.join(ask.code, own, peer.address)
        peers.moved(own)
        return { kind, accountId }
      }
      case 'devices': {
        const listed = await devices.list(account)
        const connected = peers.connectedSubjects()
        const removedAtMs = listed.find(({ subject }) => subject === own.subject)?.removedAtMs ?? null
        const told = listed.map(({ subject, removedAtMs: _, ...device }) => {
          return { publicKey: subject, ...device, isConnected: connected.has(subject) }
        })
        return { kind, devices: told, own: own.subject, removedAtMs }
      }
      case 'name-device':
        await devices.rename(account, ask.publicKey, ask.name)
        return { kind }
      case 'remove-device':
        if (ask.publicKey === own.subject)
          throw new AccountError('not-allowed', 'a device does not remove itself; remove it on another one, or let it join another account')
        peers.moved(await devices.remove(account, ask.publicKey))
        return { kind }
      case 'removal-noted':
        await devices.removalNoted(own)
        return { kind }
      default:
        return unreachable(kind)
    }
  }

  async #key(account: string, ask: KeyAsk): Promise<AnswerTo<KeyAsk>> {
    const { keys } = await this.#options.store()
    const team = ask.teamId ?? null
    if (team !== null) await this.#options.teams.mustOwn(team, account)
    const payer = team ?? account
    const { kind } = ask
    switch (kind) {
      case 'keys': {
        const living = (await keys.list(payer)).filter(({ revokedAtMs }) => revokedAtMs === null)
        return { kind, keys: living.map(listed) }
      }
      case 'create-key': {
        const { name, models, pools = null, budget, requestsAMinute } = ask
        const scope = { models, pools, budget: budget === null ? null : BigInt(budget), requestsAMinute }
        const { key, text } = await keys.create(payer, name, scope)
        return { kind, key: listed(key), text }
      }
      case 'revoke-key':
        await keys.revoke(ask.keyId, payer)
        return { kind }
      default:
        return unreachable(kind)
    }
  }

  /** Its devices come as strangers from then on. */
  async #erase({ peer, account }: Asker): Promise<void> {
    const { store, peers } = this.#options
    const { accounts, devices } = await store()
    const known = await devices.list(account)
    await accounts.erase(account)
    for (const { subject } of known) peers.moved({ kind: 'key', subject })
    await peers.accountOf(peer.peerId)
  }
}

function isDeviceAsk(ask: AccountAsk): ask is DeviceAsk {
  const kinds: readonly string[] = DEVICE_KINDS
  return kinds.includes(ask.kind)
}

function isKeyAsk(ask: AccountAsk): ask is KeyAsk {
  const kinds: readonly string[] = KEY_KINDS
  return kinds.includes(ask.kind)
}

function listed({ id, name, models, pools, budget, spent, requestsAMinute, createdAtMs, usedAtMs }: ApiKey): ListedApiKey {
  const lists = { models: models && [...models], pools: pools && [...pools] }
  return {
    id,
    name,
    ...lists,
    budget: budget === null ? null : budget.toString(),
    spent: spent.toString(),
    requestsAMinute,
    createdAtMs,
    usedAtMs,
  }
}
