/**
 * The ledger's key, kept in the store: heads of years are signed by one key, whichever process or machine signs, and a backup holds it. Who
 * reads the database can sign as the operator, as who writes it can already do what the operator can.
 */

import { createStoredIdentity, openIdentity } from '../../network/index.ts'
import { fromBase64Url, required, type Signer, toBase64Url } from '../../shared/index.ts'
import { FIRST_PREVIOUS } from '../ledger/index.ts'
import type { Queries } from './database.ts'
import { ledgerState } from './schema.ts'

/** The first to open a ledger makes its key. */
export async function openKey(queries: Queries): Promise<Signer> {
  const { subtle } = crypto
  const fresh = await createStoredIdentity(subtle)
  const first = { only: 1, size: 0, previous: FIRST_PREVIOUS, peaks: '[]' }
  const keys = { publicKey: toBase64Url(fresh.publicKey), privateKey: toBase64Url(fresh.privateKey) }
  await queries
    .insert(ledgerState)
    .values({ ...first, ...keys })
    .onConflictDoNothing()
  const [state] = await queries.select().from(ledgerState)
  const { publicKey, privateKey } = required(state, 'the row of ledger_state')
  const bytes = (text: string, what: string) => required(fromBase64Url(text), what)
  return openIdentity(subtle, { publicKey: bytes(publicKey, 'the public key'), privateKey: bytes(privateKey, 'the private key') })
}
