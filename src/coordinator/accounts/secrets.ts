/** What keys and codes have in common: only their SHA-256 is kept, and it is compared without telling by its time how much was right. */

import { fromHex, type Sha256, toHex, utf8Encode } from '../../shared/index.ts'

/** SHA-256 of `text` in UTF-8, hex. No slow hash is needed: what is hashed here is chance, not a person's choice. */
export async function hashSecret(text: string, sha256: Sha256): Promise<string> {
  return toHex(await sha256(utf8Encode(text)))
}

/** Whether two hashes (hex) are the same; the time depends on their length alone. */
export function isSameHash(a: string, b: string): boolean {
  if (a.length !== b.length) return false
  const [left, right] = [fromHex(a), fromHex(b)]
  let difference = 0
  for (let at = 0; at < left.length; at++) difference |= (left[at] ?? 0) ^ (right[at] ?? 0)
  return difference === 0
}
