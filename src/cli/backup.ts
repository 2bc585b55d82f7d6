/** `tabswarm backup` and `restore`: the whole store in one file, from PGlite or Postgres into either. */

import { createWriteStream } from 'node:fs'
import { rename, rm } from 'node:fs/promises'
import { pipeline } from 'node:stream/promises'
import { createGzip } from 'node:zlib'
import type { Command } from 'commander'
import { formatCredits } from '../shared/index.ts'
import { recordCommand } from './actionFile.ts'
import { printLine } from './output.ts'
import { addStoreOption, type StoreFlags, withDatabase } from './storePlace.ts'
import { textLines } from './textLines.ts'

export function registerBackupCommands(program: Command): void {
  addStoreOption(program.command('backup').description('write the whole store to a file: accounts, ledger, its key; keep it secret'))
    .argument('<file>', 'gzipped, for example store.jsonl.gz; replaced only when the new one is complete')
    .action(backup)
  addStoreOption(program.command('restore').description('put a backup into an empty store, if its ledger is right'))
    .argument('<file>')
    .action(restore)
}

async function backup(file: string, flags: StoreFlags): Promise<void> {
  const { writeBackup } = await import('../coordinator/store/index.ts')
  const partial = `${file}.partial`
  try {
    await withDatabase(flags, false, async (database) => {
      const gzip = createGzip()
      // Made anew, for its owner alone: one that somebody else has put there would keep its mode.
      await rm(partial, { force: true })
      const written = pipeline(gzip, createWriteStream(partial, { mode: 0o600, flags: 'wx' }))
      const write = (line: string) => new Promise<void>((resolve) => (gzip.write(`${line}\n`) ? resolve() : gzip.once('drain', resolve)))
      await Promise.race([writeBackup(database, write).then(() => gzip.end()), written])
      await written
    })
    await rename(partial, file)
  } catch (error) {
    await rm(partial, { force: true })
    throw error
  }
  await recordCommand(flags, { action: 'backup', on: 'store' })
  printLine(`${file} holds the store; it also holds the key that signs the ledger, so keep it as safe as the store`)
}

async function restore(file: string, flags: StoreFlags): Promise<void> {
  const [{ restoreBackup }, { sha256Of, signatureVerifier }] = await Promise.all([
    import('../coordinator/store/index.ts'),
    import('../network/index.ts'),
  ])
  const tools = { sha256: sha256Of(crypto.subtle), verify: signatureVerifier(crypto.subtle) }
  const { events, outstanding } = await withDatabase(flags, true, (database) => restoreBackup(database, textLines(file, 'gzip'), tools))
  await recordCommand(flags, { action: 'restore', on: 'store', details: { events } })
  printLine(`restored ${events} events; ${formatCredits(outstanding)} credits are outstanding`)
}
