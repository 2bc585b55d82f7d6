/** Measuring a whole model, without any framework: what is under way, what came out, what went wrong. */

import { createStore, type StoreApi } from 'zustand/vanilla'
import type { ModelMeasurement, ModelSpeed, ModelSpeedProgress, PeerRuntime } from '../../peer/index.ts'
import { type ErrorBody, type ModelId, toErrorBody } from '../../shared/index.ts'

export type ModelSpeedRun =
  | { readonly kind: 'idle' }
  | { readonly kind: 'running'; readonly progress: ModelSpeedProgress }
  | { readonly kind: 'done'; readonly result: ModelSpeed }
  | { readonly kind: 'failed'; readonly error: ErrorBody }

export interface ModelSpeedState {
  readonly run: ModelSpeedRun
  /** Ignored while one is under way. */
  start(modelId: ModelId): void
  /** Back to before, at once. */
  stop(): void
}

export type ModelSpeedStore = StoreApi<ModelSpeedState>

export function createModelSpeedStore(runtime: Pick<PeerRuntime, 'measureModel'>): ModelSpeedStore {
  let current: ModelMeasurement | null = null
  /** Counts measurements: what an earlier one still says is not heard. */
  let newest = 0
  return createStore<ModelSpeedState>()((set) => ({
    run: { kind: 'idle' },
    start: (modelId) => {
      if (current !== null) return
      const own = ++newest
      const show = (run: ModelSpeedRun) => {
        if (own === newest) set({ run })
      }
      const end = (run: ModelSpeedRun) => {
        if (own === newest) current = null
        show(run)
      }
      show({ kind: 'running', progress: { kind: 'starting' } })
      current = runtime.measureModel(modelId, (progress) => show({ kind: 'running', progress }))
      current.result.then(
        (result) => end({ kind: 'done', result }),
        (error: unknown) => end({ kind: 'failed', error: toErrorBody(error) }),
      )
    },
    stop: () => {
      newest++
      current?.stop()
      current = null
      set({ run: { kind: 'idle' } })
    },
  }))
}
