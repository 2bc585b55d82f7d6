/** Files of JSON lines that a process may have been killed over: half a line is left out when they are read, and not gone on with. */

import { open } from 'node:fs/promises'
import { UsageError } from './output.ts'
import { textLines } from './textLines.ts'

/** Begins a line of its own where the last one was not ended; makes the file, for its owner alone, where there is none. */
export async function endLine(file: string): Promise<void> {
  const handle = await open(file, 'a+', 0o600)
  try {
    const { size } = await handle.stat()
    if (size === 0) return
    const { buffer } = await handle.read(Buffer.alloc(1), 0, 1, size - 1)
    if (buffer.toString() !== '\n') await handle.appendFile('\n')
  } finally {
    await handle.close()
  }
}

/** Each line that is an object, as text and as a value; null for one that is none. Rejects with `not-found` where there is no file. */
export async function* jsonLines(
  file: string,
): AsyncGenerator<{ readonly line: string; readonly value: Readonly<Record<string, unknown>> } | null> {
  for await (const line of textLines(file, 'plain')) {
    if (line === '') continue
    const value = parse(line)
    yield value === null ? null : { line, value }
  }
}

function parse(line: string): Readonly<Record<string, unknown>> | null {
  try {
    const value: unknown = JSON.parse(line)
    return typeof value === 'object' && value !== null ? (value as Readonly<Record<string, unknown>>) : null
  } catch {
    return null
  }
}

/** A day's first millisecond, UTC. */
export function parseDay(text: string): number {
  const ms = /^\d{4}-\d\d-\d\d$/.test(text) ? Date.parse(`${text}T00:00:00Z`) : Number.NaN
  if (Number.isNaN(ms)) throw new UsageError(`a day is written as in 2027-01-31, not "${text}"`)
  return ms
}
