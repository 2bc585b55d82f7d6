/**
 * AccountDesk: what peers ask of their own accounts beside statements: locked copies of keys, bringing devices together, API keys.
 * What any of it means is the store's; here it is whose account it is about.
 */

import type { AccountAnswer, AccountAsk, ClientMessage, ListedApiKey, ServerMessage } from '../../protocol/index.ts'
import { type Clock, type PeerId, toBase64Url, unreachable } from '../../shared/index.ts'
import { AccountError, type ApiKey } from '../accounts/index.ts'
import { ACCOUNT_RATE, ACCOUNTS_AT_ONCE } from './limits.ts'
import { isOperatorAsk, type OperatorDesk } from './operatorDesk.ts'
import { type IdentifiedPeer, identityOf, type PeerAccounts } from './peerAccounts.ts'
import type { EconomyStore } from './ports.ts'
import { type Refused, RequestGate } from './requestGate.ts'

type AccountRequest = Extract<ClientMessage, { type: 'account-request' }>
type AccountAnswered = Extract<ServerMessage, { type: 'account-answer' }>

export interface AccountDeskOptions {
  readonly store: () => Promise<Pick<EconomyStore, 'recovery' | 'pairing' | 'keys'>>
  readonly operators: Pick<OperatorDesk, 'answer'>
  readonly peers: Pick<PeerAccounts, 'get' | 'accountOf' | 'moved'>
  readonly clock: Clock
  readonly log: (line: string) => void
}

const TOO_MANY = { reason: 'too-many-requests', message: 'this tab asks for too much of its account; wait a moment' }

export class AccountDesk {
  readonly #options: AccountDeskOptions
  readonly #gate: RequestGate

  constructor(options: AccountDeskOptions) {
    this.#options = options
    this.#gate = new RequestGate({ ...options, rate: ACCOUNT_RATE, atOnce: ACCOUNTS_AT_ONCE, tooMany: TOO_MANY })
  }

  /** Rules A1 … A9 and O1 … O5. Never rejects. */
  answer(peerId: PeerId, { requestId, ask }: AccountRequest): Promise<AccountAnswered | Refused> {
    return this.#gate.answer(peerId, requestId, async () => {
      const peer = this.#options.peers.get(peerId)
      if (peer === null) throw new AccountError('unknown', 'this tab has left')
      const account = await this.#options.peers.accountOf(peerId)
      return { type: 'account-answer', requestId, answer: await this.#answer(peer, account, ask) }
    })
  }

  tick(nowMs: number): void {
    this.#gate.tick(nowMs)
  }

  async #answer(peer: IdentifiedPeer, account: string, ask: AccountAsk): Promise<AccountAnswer> {
    const { store, peers, operators } = this.#options
    if (isOperatorAsk(ask)) return operators.answer(account, ask)
    const { recovery, pairing, keys } = await store()
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
      case 'pair': {
        const { text, expiresAtMs } = await pairing.create(account)
        return { kind, code: text, expiresAtMs }
      }
      case 'join': {
        const identity = identityOf(peer)
        const accountId = await pairing.join(ask.code, identity, peer.address)
        peers.moved(identity)
        return { kind, accountId }
      }
      case 'keys': {
        const living = (await keys.list(account)).filter(({ revokedAtMs }) => revokedAtMs === null)
        return { kind, keys: living.map(listed) }
      }
      case 'create-key': {
        const { name, models, budget, requestsAMinute } = ask
        const scope = { models, pools: null, budget: budget === null ? null : BigInt(budget), requestsAMinute }
        const { key, text } = await keys.create(account, name, scope)
        return { kind, key: listed(key), text }
      }
      case 'revoke-key':
        await keys.revoke(ask.keyId, account)
        return { kind }
      default:
        return unreachable(kind)
    }
  }
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
