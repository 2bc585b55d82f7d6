/** Parsers of options that take one of some names, or a list with commas; what doesn't fit is a usage error that says what would. */

import { isSuiteFormat, type SuiteFormat, suiteFormats } from '../kernels/suite/index.ts'
import { UsageError } from './output.ts'

export function oneOf<Name extends string>(option: string, names: readonly Name[]): (text: string) => Name {
  return (text) => {
    const known = names.find((name) => name === text)
    if (known === undefined) throw new UsageError(`${option} must be ${names.join(' or ')}, not "${text}"`)
    return known
  }
}

export function listOf<Name extends string>(option: string, names: readonly Name[]): (text: string) => readonly Name[] {
  const parse = oneOf(option, names)
  return (text) => [...new Set(text.split(',').map((part) => parse(part.trim())))]
}

/** Names as they are, with commas between; whoever uses them checks them. */
export function someNames(text: string): readonly string[] {
  return [...new Set(text.split(',').map((part) => part.trim()))].filter((name) => name !== '')
}

/** Names, or null for `all`. */
export function namesOrAll(text: string): readonly string[] | null {
  return text.trim() === 'all' ? null : someNames(text)
}

export function parseFormats(text: string): readonly SuiteFormat[] {
  return text.split(',').map((part) => {
    const name = part.trim().toLowerCase()
    if (!isSuiteFormat(name)) throw new UsageError(`--formats: "${part}" is none of ${suiteFormats.join(', ')}`)
    return name
  })
}

export function wholeNumbers(option: string, min: number, max: number): (text: string) => readonly number[] {
  return (text) =>
    text.split(',').map((part) => {
      const value = Number(part)
      if (!/^\s*\d+\s*$/.test(part) || value < min || value > max)
        throw new UsageError(`${option} takes whole numbers from ${min} to ${max} with commas between, not "${text}"`)
      return value
    })
}

export function parseShapes(text: string): readonly (readonly [number, number])[] {
  return text.split(',').map((part) => {
    const found = /^\s*(\d+)x(\d+)\s*$/.exec(part)
    if (found === null) throw new UsageError(`--shapes takes OUTPUTSxINPUTS with commas between, as 1536x576,8192x2048, not "${text}"`)
    return [Number(found[1]), Number(found[2])]
  })
}
