/** AccountExport: all that is kept of one account, as its owner may have it: records for a JSON file, a part at a time. */

import { formatCredits, isoTime } from '../../shared/index.ts'
import type { ApiKey } from '../accounts/index.ts'
import { accountId, businessId } from '../ledger/index.ts'
import type { AccountStore } from './accountStore.ts'
import type { DeviceStore } from './deviceStore.ts'
import type { KeyStore } from './keyStore.ts'
import type { LedgerStore } from './ledgerStore.ts'
import type { RecoveryStore } from './recoveryStore.ts'
import type { SealedStore } from './sealedStore.ts'
import type { TeamStore } from './teamStore.ts'

export type ExportRecord = Record<string, unknown>

/** Records that follow each other. */
export interface ExportPage {
  readonly records: readonly ExportRecord[]
  /** To go on from; null: there are no more. */
  readonly next: number | null
}

export interface ExportSources {
  readonly accounts: Pick<AccountStore, 'details' | 'ties'>
  readonly devices: Pick<DeviceStore, 'list'>
  readonly recovery: Pick<RecoveryStore, 'list'>
  readonly keys: Pick<KeyStore, 'list'>
  readonly teams: Pick<TeamStore, 'of'>
  readonly ledger: Pick<LedgerStore, 'events'>
  readonly sealed: Pick<SealedStore, 'ofAccount'>
}

/** With all names at their longest 180 KB. */
const PAGE_KEYS = 50
/** Events read for a page, and the records after which it ends: some 120 KB. */
const PAGE_EVENTS = 200
const PAGE_LINES = 500

export class AccountExport {
  readonly #sources: ExportSources

  constructor(sources: ExportSources) {
    this.#sources = sources
  }

  /** One record: all but the keys and the ledger's lines. Rejects with AccountError `unknown`. */
  async facts(id: string): Promise<ExportPage> {
    const { accounts, devices, recovery, teams, sealed } = this.#sources
    const { createdAtMs, erasedAtMs: _, identities: __, teams: ___, ...known } = await accounts.details(id)
    const ties = (await accounts.ties([id])).get(id)
    const facts = {
      ...known,
      created: isoTime(createdAtMs),
      devices: (await devices.list(id)).map(({ subject, name, addedAtMs, seenAtMs }) => {
        return { key: subject, name, added: isoTime(addedAtMs), seen: isoTime(seenAtMs) }
      }),
      addressBlocks: ties?.blocks ?? [],
      family: ties?.family,
      recoveryCopies: (await recovery.list(id)).map(({ keptAtMs, ...copy }) => ({ ...copy, kept: isoTime(keptAtMs) })),
      teams: (await teams.of(id)).map(({ id, name, isOwner }) => ({ id, name, isOwner })),
      // What they say only the API key opens, which their owner has.
      sealed: (await sealed.ofAccount(id)).map(({ id, key, kind, bytes, createdAtMs, expiresAtMs }) => {
        return { id, key, kind, bytes, created: isoTime(createdAtMs), gone: expiresAtMs === null ? null : isoTime(expiresAtMs) }
      }),
    }
    return { records: [facts], next: null }
  }

  /** A record an API key, revoked ones among them, from the `from`-th on. */
  async keys(id: string, from: number): Promise<ExportPage> {
    const keys = await this.#sources.keys.list(id)
    const end = from + PAGE_KEYS
    return { records: keys.slice(from, end).map(exportedKey), next: end < keys.length ? end : null }
  }

  /** A record a posting to one of the account's own, from the event of sequence `from` on. */
  async lines(id: string, from: number): Promise<ExportPage> {
    const events = await this.#sources.ledger.events(id, from, PAGE_EVENTS)
    const records: ExportRecord[] = []
    for (const { event } of events) {
      const { sequence, atMs, command, postings } = event
      if (records.length >= PAGE_LINES) return { records, next: sequence }
      for (const { account, amount } of postings) {
        if (account.owner !== id) continue
        const posting = { account: accountId(account), credits: formatCredits(amount) }
        records.push({ sequence, time: isoTime(atMs), event: businessId(command), ...posting })
      }
    }
    const last = events.at(-1)
    return { records, next: last === undefined || events.length < PAGE_EVENTS ? null : last.event.sequence + 1 }
  }
}

/** A key as its owner may see it: all but its secret. */
export function exportedKey({ budget, spent, createdAtMs, usedAtMs, revokedAtMs, ...key }: ApiKey): ExportRecord {
  return {
    ...key,
    budgetCredits: budget === null ? null : formatCredits(budget),
    spentCredits: formatCredits(spent),
    created: isoTime(createdAtMs),
    used: usedAtMs === null ? null : isoTime(usedAtMs),
    revoked: revokedAtMs === null ? null : isoTime(revokedAtMs),
  }
}
