/** Whole numbers of a range, digit by digit. */

/** 15 digits: every one is a double of its own. */
export const INTEGER_MAX = 10 ** 15 - 1

/** The whole numbers from `least` to `most`, of INTEGER_MAX at most either way; `least` ≤ `most`. */
export function integerRange(least: number, most: number): string {
  const parts: string[] = []
  if (least < 0) parts.push(...natural(Math.max(1, -most), -least).map((digits) => `"-" ${digits}`))
  if (most >= 0) parts.push(...natural(Math.max(0, least), most))
  return parts.join(' | ')
}

/** Those of 0 or more: of the shortest and the longest digit by digit, of the lengths between all. */
function natural(least: number, most: number): string[] {
  const [short, long] = [String(least).length, String(most).length]
  if (short === long) return sameLength(String(least), String(most))
  const parts = sameLength(String(least), '9'.repeat(short))
  if (long - short > 1) parts.push(`[1-9] [0-9]{${short},${long - 2}}`)
  return [...parts, ...sameLength(`1${'0'.repeat(long - 1)}`, String(most))]
}

/** Digits of equal length from `low` to `high`. */
function sameLength(low: string, high: string): string[] {
  const rest = low.length - 1
  const [a, b] = [low.charAt(0), high.charAt(0)]
  if (rest === 0) return [range(a, b)]
  const any = (from: string, to: string) => `${range(from, to)} [0-9]{${rest}}`
  const isLowest = /^0*$/.test(low.slice(1))
  const isHighest = /^9*$/.test(high.slice(1))
  if (a === b) {
    if (isLowest && isHighest) return [any(a, a)]
    return [`"${a}" (${sameLength(low.slice(1), high.slice(1)).join(' | ')})`]
  }
  const parts: string[] = []
  const [first, last] = [isLowest ? Number(a) : Number(a) + 1, isHighest ? Number(b) : Number(b) - 1]
  if (!isLowest) parts.push(`"${a}" (${sameLength(low.slice(1), '9'.repeat(rest)).join(' | ')})`)
  if (first <= last) parts.push(any(String(first), String(last)))
  if (!isHighest) parts.push(`"${b}" (${sameLength('0'.repeat(rest), high.slice(1)).join(' | ')})`)
  return parts
}

function range(from: string, to: string): string {
  return from === to ? `"${from}"` : `[${from}-${to}]`
}
