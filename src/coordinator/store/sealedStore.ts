/**
 * SealedStore: what clients of the API have left here, as sealed texts that nobody here can open: an object has a header and numbered parts, belongs to
 * an API key, and is gone at a time. Nothing of another key is ever found.
 */

import { and, asc, count, desc, eq, gt, gte, inArray, isNotNull, isNull, lt, lte, or, type SQL, sum } from 'drizzle-orm'
import { required } from '../../shared/index.ts'
import { apiKeys } from './accountSchema.ts'
import type { AccountTools } from './accountStore.ts'
import type { Database, Queries } from './database.ts'
import { StoreError } from './errors.ts'
import { sealedObjects, sealedParts } from './sealedSchema.ts'

export type SealedKind = 'file' | 'output' | 'batch' | 'response'

export interface SealedObject {
  readonly id: string
  /** The API key that it is sealed with, and that alone has it. */
  readonly key: string
  readonly kind: SealedKind
  /** base64url. */
  readonly salt: string
  readonly header: string
  /** Of its parts, unsealed. */
  readonly bytes: number
  readonly createdAtMs: number
  /** Null: it is still being written. */
  readonly expiresAtMs: number | null
}

export interface SealedPart {
  readonly index: number
  readonly sealed: string
}

export interface SealedListing {
  readonly kinds: readonly SealedKind[]
  /** The id behind which the list goes on; null: from its beginning. */
  readonly after: string | null
  readonly limit: number
  readonly newestFirst: boolean
}

/** Of one API key: a few batches of the largest size, with their answers. */
const BYTES_MAX = 128 * 1024 * 1024
/** Of one API key: a conversation stored an answer at a time is some hundred. */
const OBJECTS_MAX = 2_000
/** Parts of one statement: each is some hundred KiB. */
const PARTS_AT_ONCE = 8

export class SealedStore {
  readonly #queries: Queries
  readonly #tools: AccountTools

  constructor({ queries }: Database, tools: AccountTools) {
    this.#queries = queries
    this.#tools = tools
  }

  /** Rejects with a StoreError `full` where its key has too much here already. */
  async add(objects: readonly Omit<SealedObject, 'createdAtMs'>[], parts: readonly string[] = []): Promise<readonly SealedObject[]> {
    return this.#queries.transaction((tx) => this.addIn(tx, objects, parts))
  }

  /** As `add`, in a transaction of another store. The parts are the first object's. */
  async addIn(
    tx: Queries,
    objects: readonly Omit<SealedObject, 'createdAtMs'>[],
    parts: readonly string[],
  ): Promise<readonly SealedObject[]> {
    const [first] = objects
    if (first === undefined) return []
    const rows = objects.map((object) => ({ ...object, createdAtMs: this.#nowMs() }))
    const mine = eq(sealedObjects.key, first.key)
    const [had] = await tx
      .select({ objects: count(), bytes: sum(sealedObjects.bytes) })
      .from(sealedObjects)
      .where(mine)
    const { objects: number, bytes } = required(had, 'a count')
    if (number + rows.length > OBJECTS_MAX) throw full(`${number} files, batches and responses`)
    if (Number(bytes ?? 0) + first.bytes > BYTES_MAX) throw full(`${Math.ceil(Number(bytes) / 1024 / 1024)} MiB`)
    await tx.insert(sealedObjects).values(rows)
    const partRows = parts.map((sealed, index) => ({ object: first.id, index, sealed }))
    for (let at = 0; at < partRows.length; at += PARTS_AT_ONCE) await tx.insert(sealedParts).values(partRows.slice(at, at + PARTS_AT_ONCE))
    return rows
  }

  /** Null: there is none of this key, or no more. */
  async find(id: string, key: string): Promise<SealedObject | null> {
    const mine = and(eq(sealedObjects.id, id), eq(sealedObjects.key, key))
    const [row] = await this.#queries.select().from(sealedObjects).where(and(mine, this.#isThere()))
    return row === undefined ? null : objectOf(row)
  }

  /** Those that are written to their end. */
  async list(key: string, { kinds, after, limit, newestFirst }: SealedListing): Promise<readonly SealedObject[]> {
    const [order, beyond] = newestFirst ? [desc, lt] : [asc, gt]
    const { createdAtMs, id } = sealedObjects
    let behind: SQL | undefined
    if (after !== null) {
      const found = await this.find(after, key)
      if (found === null) return []
      behind = or(beyond(createdAtMs, found.createdAtMs), and(eq(createdAtMs, found.createdAtMs), beyond(id, found.id)))
    }
    const mine = and(eq(sealedObjects.key, key), inArray(sealedObjects.kind, [...kinds]), isNotNull(sealedObjects.expiresAtMs))
    const rows = await this.#queries
      .select()
      .from(sealedObjects)
      .where(and(mine, this.#isThere(), behind))
      .orderBy(order(createdAtMs), order(id))
      .limit(limit)
    return rows.map(objectOf)
  }

  /** All of an account's keys. */
  async ofAccount(account: string): Promise<readonly SealedObject[]> {
    const rows = await this.#queries
      .select({ object: sealedObjects })
      .from(sealedObjects)
      .innerJoin(apiKeys, eq(apiKeys.id, sealedObjects.key))
      .where(eq(apiKeys.account, account))
      .orderBy(asc(sealedObjects.createdAtMs))
    return rows.map(({ object }) => objectOf(object))
  }

  /** At most `limit` of its parts in order, from the index `from` on; some may be missing. */
  async parts(object: string, from: number, limit: number): Promise<readonly SealedPart[]> {
    return this.#queries
      .select({ index: sealedParts.index, sealed: sealedParts.sealed })
      .from(sealedParts)
      .where(and(eq(sealedParts.object, object), gte(sealedParts.index, from)))
      .orderBy(asc(sealedParts.index))
      .limit(limit)
  }

  /** Which parts there are of these. */
  async indexes(objects: readonly string[]): Promise<ReadonlySet<number>> {
    const rows = await this.#queries
      .select({ index: sealedParts.index })
      .from(sealedParts)
      .where(inArray(sealedParts.object, [...objects]))
    return new Set(rows.map(({ index }) => index))
  }

  async setHeader(id: string, header: string): Promise<void> {
    await this.#queries.update(sealedObjects).set({ header }).where(eq(sealedObjects.id, id))
  }

  /** It is gone then; it may have been set to another time. */
  async expire(ids: readonly string[], expiresAtMs: number): Promise<void> {
    await this.#queries
      .update(sealedObjects)
      .set({ expiresAtMs: Math.floor(expiresAtMs) })
      .where(inArray(sealedObjects.id, [...ids]))
  }

  /** False: there was none of this key. */
  async remove(id: string, key: string): Promise<boolean> {
    const mine = and(eq(sealedObjects.id, id), eq(sealedObjects.key, key))
    const removed = await this.#queries.delete(sealedObjects).where(mine).returning({ id: sealedObjects.id })
    return removed.length > 0
  }

  /** Removes what has expired. */
  async forget(): Promise<void> {
    await this.#queries.delete(sealedObjects).where(lte(sealedObjects.expiresAtMs, this.#nowMs()))
  }

  #isThere(): SQL | undefined {
    return or(isNull(sealedObjects.expiresAtMs), gt(sealedObjects.expiresAtMs, this.#nowMs()))
  }

  #nowMs(): number {
    return Math.floor(this.#tools.clock.nowMs())
  }
}

function objectOf(row: typeof sealedObjects.$inferSelect): SealedObject {
  return { ...row, kind: row.kind as SealedKind }
}

function full(what: string): StoreError {
  return new StoreError('full', `this API key has ${what} here already; delete some, or wait until they are gone`)
}
