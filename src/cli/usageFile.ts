/**
 * UsageFile: usage as lines of JSON in a file that only grows; a full one becomes FILE.1, in place of the one before, so that both together are bounded.
 * What a line says: UsageEvent. Lines are on the disk within a second, or when it is closed.
 */

import { appendFile, rename, stat } from 'node:fs/promises'
import type { UsageEvent } from '../server.ts'
import { endLine } from './jsonLines.ts'

export interface UsageFileOptions {
  readonly file: string
  readonly log: (line: string) => void
  /** Left out: FILE_BYTES_MAX. */
  readonly bytesMax?: number
}

/** Some 100,000 requests. */
const FILE_BYTES_MAX = 64 * 1024 * 1024
/** What waits for a disk that takes nothing, some 10 MB; then the newest are left out. */
const LINES_WAITING_MAX = 10_000
const WRITE_MS = 1_000

export class UsageFile {
  readonly #options: UsageFileOptions
  #waiting: string[] = []
  #bytes: number
  #timer: NodeJS.Timeout | null = null
  #writing: Promise<void> = Promise.resolve()
  #failures = 0

  private constructor(options: UsageFileOptions, bytes: number) {
    this.#options = options
    this.#bytes = bytes
  }

  /** Rejects where the file cannot be written. */
  static async open(options: UsageFileOptions): Promise<UsageFile> {
    await endLine(options.file)
    return new UsageFile(options, (await stat(options.file)).size)
  }

  push(event: UsageEvent): void {
    if (this.#waiting.length >= LINES_WAITING_MAX) return
    this.#waiting.push(`${JSON.stringify(event)}\n`)
    this.#timer ??= setTimeout(() => this.#write(), WRITE_MS)
  }

  /** Resolves when all is written. */
  async close(): Promise<void> {
    this.#write()
    await this.#writing
  }

  #write(): void {
    if (this.#timer !== null) clearTimeout(this.#timer)
    this.#timer = null
    this.#writing = this.#writing.then(() => this.#append())
  }

  /** Never rejects. */
  async #append(): Promise<void> {
    const { file, log, bytesMax = FILE_BYTES_MAX } = this.#options
    const lines = this.#waiting
    if (lines.length === 0) return
    const text = lines.join('')
    this.#waiting = []
    try {
      if (this.#bytes > bytesMax) {
        await rename(file, olderFile(file))
        this.#bytes = 0
      }
      await appendFile(file, text, { mode: 0o600 })
      this.#bytes += Buffer.byteLength(text)
      this.#failures = 0
    } catch (error) {
      // Once, until it is written again.
      if (this.#failures++ === 0)
        log(`usage cannot be written, and is left out meanwhile: ${error instanceof Error ? error.message : String(error)}`)
    }
  }
}

export function olderFile(file: string): string {
  return `${file}.1`
}
