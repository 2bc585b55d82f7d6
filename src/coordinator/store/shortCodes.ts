/** What stores of short codes have in common: a code under a handle that no other has, and tries that are counted. */

import type { Sha256 } from '../../shared/index.ts'
import { AccountError, newCode, type ShortCode, tryCode } from '../accounts/index.ts'

export interface ShownCode {
  /** `K7QF-2M9X-TB4C` */
  readonly text: string
  /** Coordinator time. */
  readonly expiresAtMs: number
}

interface CodeTools {
  readonly randomBytes: (count: number) => Uint8Array
  readonly sha256: Sha256
}

/** Codes that are alive have handles of their own: of a million, some are taken. */
const HANDLE_TRIES = 5

/** `insert` says whether the handle was free. Rejects with AccountError `too-many-requests`. */
export async function keepNewCode(
  { randomBytes, sha256 }: CodeTools,
  expiresAtMs: number,
  insert: (code: ShortCode) => Promise<boolean>,
): Promise<ShownCode> {
  for (let left = HANDLE_TRIES; left > 0; left--) {
    const { text, ...code } = await newCode(randomBytes, sha256, expiresAtMs)
    if (await insert(code)) return { text, expiresAtMs }
  }
  throw new AccountError('too-many-requests', 'too many codes are being made just now; try again in a minute')
}

/** Whether `code` is the one that was kept, and alive; `count` keeps the number of wrong tries. */
export async function isRightCode(
  kept: ShortCode | undefined,
  code: string,
  { sha256, nowMs }: { readonly sha256: Sha256; readonly nowMs: number },
  count: (attempts: number) => Promise<unknown>,
): Promise<boolean> {
  if (kept === undefined) return false
  const outcome = await tryCode(kept, code, sha256, nowMs)
  if (typeof outcome === 'object') await count(outcome.attempts)
  return outcome === 'right'
}
