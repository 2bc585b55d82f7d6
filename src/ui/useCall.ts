/** useCall: one call of a page's button: whether it runs, and why it failed. One at a time. */

import { useState } from 'react'
import { type ErrorBody, toErrorBody } from '../shared/index.ts'

export interface Call {
  readonly isRunning: boolean
  readonly error: ErrorBody | null
  /** Runs `work`, unless one runs; what it rejects with is shown. */
  run(work: () => Promise<void>): void
}

export function useCall(): Call {
  const [state, setState] = useState<Omit<Call, 'run'>>({ isRunning: false, error: null })
  const run = async (work: () => Promise<void>) => {
    if (state.isRunning) return
    setState({ isRunning: true, error: null })
    try {
      await work()
      setState({ isRunning: false, error: null })
    } catch (error) {
      setState({ isRunning: false, error: toErrorBody(error) })
    }
  }
  return { ...state, run: (work) => void run(work) }
}
