/**
 * Credits as people read and write them. An amount is whole micro-credits, a bigint; a million of them are a credit, the work of 10¹²
 * multiply-accumulates. Exact both ways: no amount ever becomes a floating number.
 */

/** Micro-credits of one credit. */
const CREDIT = 1_000_000n

/** Credits as exact decimals: `-12.5`. */
export function formatCredits(amount: bigint): string {
  const magnitude = amount < 0n ? -amount : amount
  const fraction = String(magnitude % CREDIT)
    .padStart(6, '0')
    .replace(/0+$/, '')
  return `${amount < 0n ? '-' : ''}${magnitude / CREDIT}${fraction === '' ? '' : `.${fraction}`}`
}

/** Micro-credits of a positive decimal number of credits with at most six places; null for any other text. */
export function parseCredits(text: string): bigint | null {
  const match = /^(\d{1,12})(?:\.(\d{1,6}))?$/.exec(text)
  if (match === null) return null
  const amount = BigInt(match[1] ?? '') * CREDIT + BigInt((match[2] ?? '').padEnd(6, '0'))
  return amount > 0n ? amount : null
}
