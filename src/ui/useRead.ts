/** useRead: what a panel reads from the coordinator when it opens: being read, there, or why not; a page changes and reads it again. */

import { useCallback, useEffect, useRef, useState } from 'react'
import { type ErrorBody, toErrorBody } from '../shared/index.ts'

export type Reading<T> =
  | { readonly kind: 'reading' }
  | { readonly kind: 'failed'; readonly error: ErrorBody }
  | { readonly kind: 'read'; readonly value: T }

export interface Read<T> {
  readonly state: Reading<T>
  /** What was read stays until the new is there. */
  again(): void
  /** Where something was read. */
  change(edit: (value: T) => T): void
}

/** `of`: whose it is; another owner's is never shown, and without one nothing is read. `read` must stay the same function. */
export function useRead<T>(read: () => Promise<T>, of: string | undefined): Read<T> {
  const [state, setState] = useState<Reading<T>>({ kind: 'reading' })
  const lastRef = useRef(0)
  const again = useCallback(async () => {
    const number = ++lastRef.current
    const show = (seen: Reading<T>) => number === lastRef.current && setState(seen)
    setState((before) => (before.kind === 'failed' ? { kind: 'reading' } : before))
    try {
      show({ kind: 'read', value: await read() })
    } catch (error) {
      show({ kind: 'failed', error: toErrorBody(error) })
    }
  }, [read])
  useEffect(() => {
    setState({ kind: 'reading' })
    if (of !== undefined) void again()
  }, [of, again])
  return {
    state,
    again: () => void again(),
    change: (edit) => setState((before) => (before.kind === 'read' ? { kind: 'read', value: edit(before.value) } : before)),
  }
}
