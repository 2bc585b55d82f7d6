/** Outcome: what a call to a worker gives. comlink flattens what is thrown; a value keeps the reason. */

import { type ErrorBody, fromErrorBody, toErrorBody } from '../shared/index.ts'

export type Outcome<Value> = { readonly ok: true; readonly value: Value } | { readonly ok: false; readonly error: ErrorBody }

/** In the worker. Never rejects. */
export async function outcome<Value>(work: () => Promise<Value>): Promise<Outcome<Value>> {
  try {
    return { ok: true, value: await work() }
  } catch (error) {
    return { ok: false, error: toErrorBody(error) }
  }
}

/** On the page. Throws the error that the worker met. */
export function unwrap<Value>(given: Outcome<Value>): Value {
  if (given.ok) return given.value
  throw fromErrorBody(given.error)
}
