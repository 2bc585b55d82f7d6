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
  return createStore<ModelSpeedState>()((set) => ({
    run: { kind: 'idle' },
    start: (modelId) => {
      if (current !== null) return
      set({ run: { kind: 'running', progress: { kind: 'starting' } } })
      const measurement = runtime.measureModel(modelId, (progress) => {
        if (current === measurement) set({ run: { kind: 'running', progress } })
      })
      current = measurement
      const end = (run: ModelSpeedRun) => {
        if (current !== measurement) return
        current = null
        set({ run })
      }
      measurement.result.then(
        (result) => end({ kind: 'done', result }),
        (error: unknown) => end({ kind: 'failed', error: toErrorBody(error) }),
      )
    },
    stop: () => {
      const measurement = current
      current = null
      measurement?.stop()
      set({ run: { kind: 'idle' } })
    },
  }))
}
