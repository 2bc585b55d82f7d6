/** Rows of sealed objects as other stores treat them. */

import { inArray } from 'drizzle-orm'
import type { Queries } from './database.ts'
import { sealedObjects } from './sealedSchema.ts'

/** Of API keys that open nothing any more: nobody can unseal it. */
export async function removeSealedOf(queries: Queries, keys: readonly string[]): Promise<void> {
  await queries.delete(sealedObjects).where(inArray(sealedObjects.key, [...keys]))
}
