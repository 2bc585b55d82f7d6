/** oneOf: whether no value can satisfy two of some schemas, as far as it is plain to see. */

interface Part {
  readonly type?: unknown
  readonly const?: unknown
  readonly enum?: unknown
  readonly required?: unknown
  readonly properties?: Readonly<Record<string, unknown>>
}

export function areDistinct(parts: readonly unknown[]): boolean {
  return parts.every((one, index) => parts.slice(index + 1).every((other) => exclude(asPart(one), asPart(other))))
}

function exclude(one: Part, other: Part): boolean {
  if (haveOtherTypes(one.type, other.type) || haveOtherValues(one, other)) return true
  const shared = namesOf(one).filter((name) => namesOf(other).includes(name))
  return shared.some((name) => haveOtherValues(asPart(one.properties?.[name]), asPart(other.properties?.[name])))
}

function haveOtherTypes(one: unknown, other: unknown): boolean {
  const [a, b] = [typeNames(one), typeNames(other)]
  return a.length > 0 && b.length > 0 && a.every((type) => !b.includes(type))
}

/** Whole numbers are numbers. */
function typeNames(type: unknown): unknown[] {
  const names: unknown[] = type === undefined ? [] : Array.isArray(type) ? type : [type]
  return names.map((name) => (name === 'integer' ? 'number' : name))
}

function haveOtherValues(one: Part, other: Part): boolean {
  const [a, b] = [valuesOf(one), valuesOf(other)]
  return a !== null && b !== null && a.every((value) => !b.includes(value))
}

function valuesOf(part: Part): string[] | null {
  if (part.const !== undefined) return [JSON.stringify(part.const)]
  return Array.isArray(part.enum) ? part.enum.map((value: unknown) => JSON.stringify(value)) : null
}

/** Of properties that a value has in any case. */
function namesOf({ required }: Part): string[] {
  return Array.isArray(required) ? required.filter((name): name is string => typeof name === 'string') : []
}

function asPart(value: unknown): Part {
  return typeof value === 'object' && value !== null ? value : {}
}
