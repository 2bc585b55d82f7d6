/** Clients that post random commands at once, each through a store of its own choice, and repeat some of what they have posted. */

import fc from 'fast-check'
import { businessId, LedgerError } from '../../../src/coordinator/ledger/index.ts'
import type { LedgerStore } from '../../../src/coordinator/store/index.ts'
import { required } from '../../../src/shared/index.ts'
import { commandsAmong } from './commands.ts'

const CLIENTS = 64
/** One command of so many is posted by two clients at once, as a retry would. */
const TWICE = 10
/** So that most sessions are held, and settled more than once. */
const COMMANDS_A_SESSION = 6

export interface ClientRun {
  /** Business ids that were acknowledged. */
  readonly posted: ReadonlySet<string>
  /** Commands that a rule refused. */
  readonly refused: number
}

/** `count` commands from `seed`. Rejects with what is neither an answer nor a rule's refusal. */
export async function runClients(stores: readonly LedgerStore[], count: number, seed: number): Promise<ClientRun> {
  const commands = fc.sample(commandsAmong(Math.ceil(count / COMMANDS_A_SESSION)), { numRuns: count, seed })
  const posted = new Set<string>()
  const fresh = new Set<number>()
  let refused = 0
  let next = 0
  const post = async (index: number, client: number) => {
    const command = required(commands[index], 'a command')
    const store = required(stores[client % stores.length], 'a store')
    try {
      const { event, repeated } = await store.post(command)
      posted.add(businessId(event.command))
      if (!repeated && fresh.has(event.sequence)) throw new Error(`event ${event.sequence} was posted twice`)
      if (!repeated) fresh.add(event.sequence)
    } catch (error) {
      if (!(error instanceof LedgerError)) throw error
      refused++
    }
  }
  const client = async (_: unknown, own: number) => {
    while (next < count) {
      const index = next++
      await (index % TWICE === 0 ? Promise.all([post(index, own), post(index, own + 1)]) : post(index, own))
    }
  }
  await Promise.all(Array.from({ length: CLIENTS }, client))
  if (fresh.size !== posted.size) throw new Error(`${posted.size} ids, but ${fresh.size} events`)
  return { posted, refused }
}
