/**
 * A coordinator under load, to be killed: posts sessions to the store whose place is its first argument, and writes the business id of each event
 * that was acknowledged to stdout, a line each, before it goes on. Its second argument tells its sessions from those of other runs.
 */

import { businessId, type Command, DEFAULT_PRICES, EARNED, type Work } from '../../../src/coordinator/ledger/index.ts'
import { LedgerStore, openDatabase } from '../../../src/coordinator/store/index.ts'
import { nodeClock } from '../../../src/node/modelFile.ts'

const CLIENTS = 24
const [place = '', run = ''] = process.argv.slice(2)
const work = (decode: bigint): Work => ({ decode, prompt: 0n, cachedPrompt: 0n })

const store = await LedgerStore.open(await openDatabase(JSON.parse(place)), { clock: nodeClock })
const post = async (command: Command) => {
  await store.post(command)
  // A reader that is busy makes the pipe full: that is to wait for.
  await new Promise((written) => process.stdout.write(`${businessId(command)}\n`, written))
}

await post({ kind: 'price', version: 0, table: DEFAULT_PRICES })
await post({ kind: 'issue', reference: `gift-${run}`, account: 'ann', purse: EARNED, amount: 10n ** 12n, note: '' })
let next = 0
const client = async () => {
  for (;;) {
    const session = `${run}-${next++}`
    await post({ kind: 'hold', session, account: 'ann', amount: 1_000n, priceVersion: 0, tier: 'standard' })
    const stages = ['bob', 'cem'].map((account) => ({ account, work: work(1n), newcomer: false }))
    await post({ kind: 'settle', session, part: 0, work: work(400_000_000n), stages })
    await post({ kind: 'release', session })
    await post({ kind: 'payout', session, account: 'bob', part: 0 })
  }
}
await Promise.all(Array.from({ length: CLIENTS }, client))
