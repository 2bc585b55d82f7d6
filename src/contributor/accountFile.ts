/**
 * accountFile: the account of a machine without a browser, as a file that its owner alone may read: the recovery phrase, and the copy of the key that it opens.
 * The phrase opens the same account in a browser.
 */

import { readFile, writeFile } from 'node:fs/promises'
import * as v from 'valibot'
import { type AccountVault, type KeptAccount, openKept } from '../account/index.ts'
import { TabswarmError } from '../shared/index.ts'

const fileSchema = v.object({
  phrase: v.string(),
  copy: v.object({ lookup: v.string(), publicKey: v.string(), iv: v.string(), wrapped: v.string() }),
})
const OWNER_ONLY = 0o600

/** Its calls reject with a TabswarmError `bad-account` where the file is damaged or cannot be written. */
export function accountFile(path: string, subtle: SubtleCrypto): AccountVault {
  const read = async (): Promise<KeptAccount | null> => {
    const text = await readFile(path, 'utf8').catch((error: NodeJS.ErrnoException) => {
      if (error.code === 'ENOENT') return null
      throw badAccount(path, error.message)
    })
    if (text === null) return null
    const parsed = v.safeParse(v.pipe(v.string(), v.parseJson(), fileSchema), text)
    if (!parsed.success) throw badAccount(path, 'it is damaged')
    const { phrase, copy } = parsed.output
    return openKept(phrase, copy, subtle).catch(() => Promise.reject(badAccount(path, 'its phrase does not open its key')))
  }
  const write = async ({ phrase, copy }: KeptAccount, flag: 'w' | 'wx') => {
    if (phrase === null) throw badAccount(path, 'without its phrase nobody could open it again')
    await writeFile(path, `${JSON.stringify({ phrase, copy }, null, 2)}\n`, { mode: OWNER_ONLY, flag })
  }
  return {
    isKept: true,
    read,
    async addFirst(account) {
      try {
        await write(account, 'wx')
      } catch (error) {
        // Another process was first.
        const kept = (error as NodeJS.ErrnoException).code === 'EEXIST' ? await read() : null
        if (kept !== null) return kept
        throw error instanceof TabswarmError ? error : badAccount(path, error instanceof Error ? error.message : String(error))
      }
      return account
    },
    replace: (account) => write(account, 'w'),
    onReplaced: () => undefined,
  }
}

function badAccount(path: string, why: string): TabswarmError {
  return new TabswarmError(
    'bad-account',
    `the account in ${path} cannot be used: ${why}; mend the file, or choose another folder with --data`,
  )
}
