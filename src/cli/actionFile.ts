/**
 * ActionFile: who did what to accounts, keys, teams and credits, as lines of JSON beside the store; it only grows. The server writes what accounts do on
 * pages, and each command what it has done itself.
 */

import { appendFile, mkdir } from 'node:fs/promises'
import path from 'node:path'
import type { Action } from '../coordinator/economy/index.ts'
import { endLine } from './jsonLines.ts'
import { printNote } from './output.ts'
import type { StoreFlags } from './storePlace.ts'

/** What commands are done by: whoever may start them on this machine. */
const COMMAND = 'command'

export class ActionFile {
  readonly #folder: string
  readonly #log: (line: string) => void
  #writing: Promise<void> = Promise.resolve()

  constructor(folder: string, log: (line: string) => void) {
    this.#folder = folder
    this.#log = log
  }

  /** It has been done; it is written in the order in which it was. */
  push(action: Action): void {
    const at = new Date().toISOString()
    this.#writing = this.#writing.then(() => this.#append({ at, ...action }))
  }

  /** Resolves when all is written. */
  async close(): Promise<void> {
    await this.#writing
  }

  /** Never rejects: what was done is done. */
  async #append(entry: object): Promise<void> {
    const file = actionFile(this.#folder)
    try {
      await mkdir(this.#folder, { recursive: true })
      await endLine(file)
      await appendFile(file, `${JSON.stringify(entry)}\n`)
    } catch (error) {
      this.#log(`an action was done and not recorded in ${file}: ${error instanceof Error ? error.message : String(error)}`)
    }
  }
}

/** What a command has done. */
export async function recordCommand(
  { data }: StoreFlags,
  { details = {}, ...action }: Pick<Action, 'action' | 'on'> & Partial<Pick<Action, 'details'>>,
): Promise<void> {
  const file = new ActionFile(data, printNote)
  file.push({ by: COMMAND, ...action, details })
  await file.close()
}

export function actionFile(folder: string): string {
  return path.join(folder, 'actions.jsonl')
}
