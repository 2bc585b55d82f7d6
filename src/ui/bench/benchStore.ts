/**
 * The Benchmark page's state, without any framework: what is chosen, what runs, what was measured, what it is compared with. Lives as
 * long as the page's scripts, so a run goes on while another route is shown.
 */

import { createStore, type StoreApi } from 'zustand/vanilla'
import {
  type CaseFailure,
  type CaseResult,
  casesOf,
  decodeChoice,
  parseRun,
  RUN_BYTES_MAX,
  type SuiteAdapter,
  type SuiteCase,
  type SuiteChoice,
  type SuiteMessage,
  type SuiteProgress,
  type SuiteRun,
} from '../../kernels/suite/index.ts'
import { type ErrorBody, TabswarmError, toErrorBody } from '../../shared/index.ts'
import type { BenchHost, SuiteWorker } from './benchHost.ts'
import { type RunLeft, runLeft } from './timeLeft.ts'

export type RunState =
  | { readonly kind: 'idle' }
  | {
      readonly kind: 'running'
      readonly cases: readonly SuiteCase[]
      /** Null until the worker has begun. */
      readonly progress: SuiteProgress | null
      readonly left: RunLeft
      readonly cancelling: boolean
    }
  | { readonly kind: 'finished' | 'cancelled'; readonly caseCount: number }
  | { readonly kind: 'failed'; readonly error: ErrorBody }

export interface ImportedRun {
  readonly fileName: string
  readonly run: SuiteRun
}

export interface BenchState {
  readonly choice: SuiteChoice
  readonly againstOrt: boolean
  readonly run: RunState
  /** Of the latest run, as soon as it was measured. */
  readonly adapter: SuiteAdapter | null
  readonly results: readonly CaseResult[]
  /** Whether ONNX Runtime was asked for in the latest run. */
  readonly comparedWithOrt: boolean
  readonly failures: readonly CaseFailure[]
  readonly imported: ImportedRun | null
  readonly importError: ErrorBody | null
  choose(change: Partial<SuiteChoice>): void
  setAgainstOrt(againstOrt: boolean): void
  /** A link's choice; what it does not say is the default's. */
  openLink(search: string): void
  /** Ignored while a run is under way, and where nothing is chosen. */
  start(): void
  /** Ends the run; what was measured stays. */
  cancel(): void
  importFile(file: File): Promise<void>
  removeImport(): void
}

export type BenchStore = StoreApi<BenchState>

/** A worker that does not end by itself after Cancel is ended: it may be in a driver's hands. */
const CANCEL_MS = 1_500
/** Messages of a worker come over another port than its answer, so the last may be late. */
const SETTLE_MS = 100
const NOTHING_DONE: RunLeft = { partDone: 0, secondsLeft: null }

export function createBenchStore(host: BenchHost): BenchStore {
  let worker: SuiteWorker | null = null
  return createStore<BenchState>()((set, get) => {
    const listen = (current: SuiteWorker, begun: { firstCaseMs: number | null }) => (message: SuiteMessage) => {
      if (worker !== current) return
      switch (message.kind) {
        case 'adapter':
          return set({ adapter: message.adapter })
        case 'measured':
          return set(({ results }) => ({ results: [...results, message.result] }))
        case 'failed':
          return set(({ failures }) => ({ failures: [...failures, message.failure] }))
        case 'progress':
          if (message.progress.phase !== 'adapter') begun.firstCaseMs ??= host.nowMs()
          return showProgress(message.progress, begun.firstCaseMs ?? host.nowMs())
      }
    }
    const showProgress = (progress: SuiteProgress, firstCaseMs: number) => {
      const { run, adapter, results, comparedWithOrt: compared } = get()
      if (run.kind !== 'running') return
      const { cases } = run
      const left = adapter === null ? NOTHING_DONE : runLeft({ cases, adapter, results, compared }, progress, host.nowMs() - firstCaseMs)
      set({ run: { ...run, progress, left } })
    }
    const end = (current: SuiteWorker, run: RunState) => {
      if (worker !== current) return
      worker = null
      current.terminate()
      set({ run })
    }
    const begin = async (cases: readonly SuiteCase[]) => {
      const current = host.startSuite()
      worker = current
      try {
        const baseline = get().comparedWithOrt ? 'ort' : null
        const outcome = await current.api.run({ cases, baseline }, listen(current, { firstCaseMs: null }))
        const ended: RunState = outcome.ok
          ? { kind: outcome.value === 'done' ? 'finished' : 'cancelled', caseCount: cases.length }
          : { kind: 'failed', error: outcome.error }
        host.after(SETTLE_MS, () => end(current, ended))
      } catch (error) {
        end(current, { kind: 'failed', error: toErrorBody(error) })
      }
    }
    return {
      choice: decodeChoice(new URLSearchParams()),
      againstOrt: false,
      run: { kind: 'idle' },
      adapter: null,
      results: [],
      comparedWithOrt: false,
      failures: [],
      imported: null,
      importError: null,
      choose: (change) => set(({ choice }) => ({ choice: { ...choice, ...change } })),
      setAgainstOrt: (againstOrt) => set({ againstOrt }),
      openLink: (search) => {
        const parameters = new URLSearchParams(search)
        set({ choice: decodeChoice(parameters), againstOrt: parameters.get(ORT_PARAMETER) === 'ort' })
      },
      start: () => {
        const { choice, againstOrt } = get()
        const cases = casesOf(choice)
        if (worker !== null || cases.length === 0) return
        set({
          run: { kind: 'running', cases, progress: null, left: NOTHING_DONE, cancelling: false },
          adapter: null,
          results: [],
          comparedWithOrt: againstOrt,
          failures: [],
        })
        void begin(cases)
      },
      cancel: () => {
        const { run } = get()
        const current = worker
        if (run.kind !== 'running' || run.cancelling || current === null) return
        set({ run: { ...run, cancelling: true } })
        void current.api.cancel()
        host.after(CANCEL_MS, () => end(current, { kind: 'cancelled', caseCount: run.cases.length }))
      },
      importFile: async (file) => {
        try {
          if (file.size > RUN_BYTES_MAX) throw tooLarge(file)
          set({ imported: { fileName: file.name, run: parseRun(await file.text()) }, importError: null })
        } catch (error) {
          set({ importError: toErrorBody(error) })
        }
      },
      removeImport: () => set({ imported: null, importError: null }),
    }
  })
}

/** The latest run as it is exported and compared; null before anything was measured. */
export function measuredRun(
  { adapter, results, failures }: Pick<BenchState, 'adapter' | 'results' | 'failures'>,
  kernelVersion: string,
): SuiteRun | null {
  if (adapter === null || results.length === 0) return null
  return { format: 'tabswarm-bench-1', adapter, kernelVersion, cases: results, failures }
}

/** Beside the suite's own parameters in a link. */
export const ORT_PARAMETER = 'against'

function tooLarge(file: File): TabswarmError {
  return new TabswarmError('bad-file', `${file.name} is too large for an exported run; choose a JSON file that this page saved`)
}
