/** Assertions: for programmers' mistakes only. What the world does wrong is a Result or a TabswarmError. */

/** Throws when `condition` is false; `message` holds the offending value. */
export function assert(condition: boolean, message: string): asserts condition {
  if (!condition) throw new Error(`assertion failed: ${message}`)
}

/** For what the compiler cannot see to be present; `what` names it in the error. */
export function required<T>(value: T | null | undefined, what: string): T {
  assert(value !== null && value !== undefined, `${what} is missing`)
  return value
}

/** Ends an exhaustive `switch`: a new variant becomes a type error here. */
export function unreachable(value: never): never {
  throw new Error(`assertion failed: unhandled variant ${JSON.stringify(value)}`)
}
