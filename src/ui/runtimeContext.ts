/** How components reach the runtime: one context for it, one hook that reads its store. */

import { createContext, use } from 'react'
import { useStore } from 'zustand'
import type { PeerRuntime, PeerState } from '../peer/index.ts'
import { required } from '../shared/index.ts'
import type { BenchHost } from './bench/benchHost.ts'
import type { ChatStore } from './chatStore.ts'

export interface UiServices {
  readonly runtime: PeerRuntime
  readonly chat: ChatStore
  readonly bench: BenchHost
}

export const UiContext = createContext<UiServices | null>(null)

export function useServices(): UiServices {
  return required(use(UiContext), 'UiContext')
}

/** `select` must return something stable, such as a part of the state. */
export function usePeer<Selected>(select: (state: PeerState) => Selected): Selected {
  return useStore(useServices().runtime.store, select)
}
