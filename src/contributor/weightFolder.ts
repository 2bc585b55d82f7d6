/** weightFolder: weights kept between runs, a file a tensor, named by its SHA-256. The loader checks each hash again: a damaged file is only a missing one. */

import { randomUUID } from 'node:crypto'
import { mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { WeightCache } from '../worker/index.ts'

export function weightFolder(path: string): WeightCache {
  const place = (sha256: string) => join(path, sha256)
  return {
    async get(sha256) {
      const bytes = await readFile(place(sha256)).catch(() => null)
      // A Buffer may be a view of memory that others share.
      return bytes === null ? null : new Uint8Array(bytes)
    },
    async put(sha256, bytes) {
      const part = `${place(sha256)}.${randomUUID()}`
      try {
        await mkdir(path, { recursive: true })
        await writeFile(part, bytes)
        await rename(part, place(sha256))
      } catch {
        // A full disk, or a folder that cannot be written: serving goes on without.
        await rm(part, { force: true }).catch(() => undefined)
      }
    },
    remove: (sha256) => rm(place(sha256), { force: true }).catch(() => undefined),
  }
}
