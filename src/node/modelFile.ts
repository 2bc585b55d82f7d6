/** Model files on this machine's disk: random access, and the SHA-256 of the whole. */

import { createHash } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { open, stat } from 'node:fs/promises'
import { ModelError, type ModelFile } from '../model/index.ts'
import type { Clock, Sha256 } from '../shared/index.ts'

export const nodeSha256: Sha256 = async (bytes) => new Uint8Array(createHash('sha256').update(bytes).digest())

/** Milliseconds since the epoch as of the start, monotonic from then on. */
export const nodeClock: Clock = {
  nowMs: () => performance.timeOrigin + performance.now(),
  after(delayMs, callback) {
    const timer = setTimeout(callback, delayMs)
    return () => clearTimeout(timer)
  },
}

/** Opens the file anew for each read, so that nothing has to be closed. Rejects with `not-found` or `truncated`. */
export async function openLocalFile(path: string): Promise<ModelFile> {
  const { size } = await stat(path).catch((error: unknown) => {
    throw new ModelError('not-found', `cannot open ${path}: ${describe(error)}`, { cause: error })
  })
  return {
    byteLength: size,
    async read({ byteOffset, byteLength }, signal) {
      const bytes = new Uint8Array(byteLength)
      const handle = await open(path, 'r').catch((error: unknown) => {
        throw new ModelError('not-found', `cannot open ${path}: ${describe(error)}`, { cause: error })
      })
      try {
        let filled = 0
        while (filled < byteLength) {
          if (signal.aborted) throw new ModelError('aborted', `reading ${path} was stopped`)
          const { bytesRead } = await handle.read(bytes, filled, byteLength - filled, byteOffset + filled)
          if (bytesRead === 0)
            throw new ModelError('truncated', `${path} ends before byte ${byteOffset + byteLength}; it was cut or is being written`)
          filled += bytesRead
        }
        return bytes
      } finally {
        await handle.close()
      }
    },
  }
}

export async function sha256OfFile(path: string, onProgress: (bytesDone: number) => void, signal?: AbortSignal): Promise<string> {
  const hash = createHash('sha256')
  let bytesDone = 0
  for await (const chunk of createReadStream(path, { highWaterMark: 1024 * 1024, ...(signal === undefined ? {} : { signal }) })) {
    hash.update(chunk)
    bytesDone += chunk.length
    onProgress(bytesDone)
  }
  return hash.digest('hex')
}

export function describe(error: unknown): string {
  if (!(error instanceof Error)) return String(error)
  // Node's fetch hides the reason ("getaddrinfo ENOTFOUND …") in the cause.
  return error.cause instanceof Error ? `${error.message}: ${error.cause.message}` : error.message
}
