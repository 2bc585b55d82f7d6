/** A promise with its handles outside. May be deleted once the language level has Promise.withResolvers (ES2024). */

export interface Deferred<Value> {
  readonly promise: Promise<Value>
  readonly resolve: (value: Value) => void
  readonly reject: (error: unknown) => void
}

const nothing = () => undefined

export function deferred<Value>(): Deferred<Value> {
  let resolve: (value: Value) => void = nothing
  let reject: (error: unknown) => void = nothing
  const promise = new Promise<Value>((onValue, onError) => {
    resolve = onValue
    reject = onError
  })
  return { promise, resolve, reject }
}
