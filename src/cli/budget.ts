/** A budget as a person writes it: credits, or `none`. */

import { parseCredits } from '../shared/index.ts'
import { UsageError } from './output.ts'

/** Micro-credits; null: no limit. */
export function parseBudget(option: string): (text: string) => bigint | null {
  return (text) => {
    if (text === 'none') return null
    const amount = /^0+(\.0+)?$/.test(text) ? 0n : parseCredits(text)
    if (amount === null) throw new UsageError(`${option} must be credits with at most six decimals, or none, not "${text}"`)
    return amount
  }
}
