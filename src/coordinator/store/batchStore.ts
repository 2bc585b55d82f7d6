/** BatchStore: how far each batch is, which coordinator works on it, and its answers, each written once. Texts are the SealedStore's matter. */

import { and, eq, inArray, isNull, lte, or, sql } from 'drizzle-orm'
import type { AccountTools } from './accountStore.ts'
import type { Database, Queries } from './database.ts'
import { type BatchStatus, batches, sealedObjects, sealedParts } from './sealedSchema.ts'
import type { SealedObject, SealedStore } from './sealedStore.ts'

export type BatchRecord = Omit<typeof batches.$inferSelect, 'runner' | 'runsUntilMs'> & { readonly key: string }

export type NewBatch = Omit<BatchRecord, 'key' | 'completed' | 'failed' | 'runs'>

/** The answer to one line, sealed. */
export interface BatchAnswer {
  /** Of the line. */
  readonly index: number
  readonly sealed: string
  /** Unsealed. */
  readonly bytes: number
  readonly isFailed: boolean
}

const UNFINISHED: readonly BatchStatus[] = ['validating', 'in_progress', 'finalizing', 'cancelling']

export class BatchStore {
  readonly #queries: Queries
  readonly #objects: SealedStore
  readonly #tools: AccountTools

  constructor({ queries }: Database, objects: SealedStore, tools: AccountTools) {
    this.#queries = queries
    this.#objects = objects
    this.#tools = tools
  }

  /** With its sealed object and those of its answers. Rejects with a StoreError `full`. */
  add(batch: NewBatch, objects: readonly Omit<SealedObject, 'createdAtMs'>[]): Promise<void> {
    return this.#queries.transaction(async (tx) => {
      await this.#objects.addIn(tx, objects, [])
      await tx.insert(batches).values({ ...batch, completed: 0, failed: 0, runs: 0, runner: null, runsUntilMs: null })
    })
  }

  /** Null: there is none of this key, or no more. */
  async find(id: string, key: string): Promise<BatchRecord | null> {
    const [found] = await this.#select(and(eq(batches.id, id), eq(sealedObjects.key, key)))
    return found ?? null
  }

  /** In the order of the ids, as they are given. */
  async of(ids: readonly string[]): Promise<readonly BatchRecord[]> {
    const found = ids.length === 0 ? [] : await this.#select(inArray(batches.id, [...ids]))
    return ids.flatMap((id) => found.find((one) => one.id === id) ?? [])
  }

  /** Of all keys. */
  async unfinished(): Promise<readonly BatchRecord[]> {
    return this.#select(inArray(batches.status, [...UNFINISHED]))
  }

  /** Whether a batch that has not ended reads it. */
  async isInput(file: string): Promise<boolean> {
    const found = await this.#queries
      .select({ id: batches.id })
      .from(batches)
      .where(and(eq(batches.inputFile, file), inArray(batches.status, [...UNFINISHED])))
      .limit(1)
    return found.length > 0
  }

  /** Makes it `runner`'s until then, unless it is another's; a coordinator that has died says so no more. The number of this run; null: it is not. */
  async claim(id: string, runner: string, untilMs: number): Promise<number | null> {
    const isFree = or(isNull(batches.runner), lte(batches.runsUntilMs, this.#nowMs()))
    const [claimed] = await this.#queries
      .update(batches)
      .set({ runner, runsUntilMs: Math.floor(untilMs), runs: sql`${batches.runs} + 1` })
      .where(and(eq(batches.id, id), isFree))
      .returning({ runs: batches.runs })
    return claimed?.runs ?? null
  }

  /** It stays `runner`'s until then. What its status is now; null: it is not any more. */
  async renew(id: string, runner: string, untilMs: number): Promise<BatchStatus | null> {
    const [renewed] = await this.#queries
      .update(batches)
      .set({ runsUntilMs: Math.floor(untilMs) })
      .where(and(eq(batches.id, id), eq(batches.runner, runner)))
      .returning({ status: batches.status })
    return renewed?.status ?? null
  }

  async release(id: string, runner: string): Promise<void> {
    await this.#queries
      .update(batches)
      .set({ runner: null, runsUntilMs: null })
      .where(and(eq(batches.id, id), eq(batches.runner, runner)))
  }

  /** From one of these states into another. False: it is in none of them. */
  async move(id: string, from: readonly BatchStatus[], status: BatchStatus): Promise<boolean> {
    const now = JSON.stringify({ [status]: this.#nowMs() })
    const moved = await this.#queries
      .update(batches)
      .set({ status, times: sql`${batches.times} || ${now}::jsonb` })
      .where(and(eq(batches.id, id), inArray(batches.status, [...from])))
      .returning({ id: batches.id })
    return moved.length > 0
  }

  /** Writes a line's answer, once. False: it was there, or the batch is not any more. */
  answer(id: string, { index, sealed, bytes, isFailed }: BatchAnswer): Promise<boolean> {
    return this.#queries.transaction(async (tx) => {
      const counted = isFailed ? { failed: sql`${batches.failed} + 1` } : { completed: sql`${batches.completed} + 1` }
      const [batch] = await tx.update(batches).set(counted).where(eq(batches.id, id)).returning()
      if (batch === undefined) return false
      const object = isFailed ? batch.errorFile : batch.outputFile
      await tx.insert(sealedParts).values({ object, index, sealed })
      await tx
        .update(sealedObjects)
        .set({ bytes: sql`${sealedObjects.bytes} + ${bytes}` })
        .where(eq(sealedObjects.id, object))
      return true
    })
  }

  async #select(where: ReturnType<typeof and>): Promise<BatchRecord[]> {
    const rows = await this.#queries.select().from(batches).innerJoin(sealedObjects, eq(sealedObjects.id, batches.id)).where(where)
    return rows.map(({ batches: { runner: _, runsUntilMs: __, ...batch }, sealed_objects: { key } }) => ({ ...batch, key }))
  }

  #nowMs(): number {
    return Math.floor(this.#tools.clock.nowMs())
  }
}
