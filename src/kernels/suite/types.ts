/**
 * The kernel suite's nouns: a case (one kernel at one format, shape and number of rows), what was measured of it, and a run, which
 * is what is exported, imported and compared. All plain data: it crosses workers and files.
 */

import type { TensorType } from '../../model/index.ts'
import type { ErrorBody } from '../../shared/index.ts'

/** `matvec`: decode's projections. `matmul`: the prompt's. `attention_decode`: one row over its session's KV cache. */
export type SuiteKernel = 'matvec' | 'matmul' | 'attention_decode'

export const SUITE_KERNELS: readonly SuiteKernel[] = ['matvec', 'matmul', 'attention_decode']

/** GGML's name in lower case: of the weights, or of the KV cache (`f32`, `f16`). */
export type SuiteFormat = Lowercase<TensorType>

export interface SuiteCase {
  readonly kernel: SuiteKernel
  readonly format: SuiteFormat
  /** matvec, matmul: [outputs, inputs]. attention_decode: [positions, query heads, KV heads, head size]. */
  readonly shape: readonly number[]
  /** Input rows. */
  readonly rows: number
}

/** A case as text: what tells it from all others, also across runs. */
export function caseKey({ kernel, format, shape, rows }: SuiteCase): string {
  return `${kernel} ${format} ${shape.join('×')} ${rows}`
}

/** The adapter, and what it reaches at best: the two lines of the roofline. */
export interface SuiteAdapter {
  /** What a person should read. */
  readonly description: string
  readonly vendor: string
  readonly architecture: string
  /** Computes on the CPU. */
  readonly software: boolean
  /** Where the suite ran: `node`, or the browser's name and version. */
  readonly runtime: string
  readonly features: readonly string[]
  readonly limits: {
    readonly maxBufferSize: number
    readonly maxStorageBufferBindingSize: number
    readonly maxComputeInvocationsPerWorkgroup: number
    readonly maxComputeWorkgroupStorageSize: number
  }
  /** 10⁹ bytes a second that a kernel copying a large buffer moves, reads and writes together. */
  readonly copyGbPerSecond: number
  /** 10⁹ floating-point operations a second of f32 multiply-adds in registers; a multiply-add is two. */
  readonly multiplyAddGflops: number
}

/** First and third quartile. */
export type Quartiles = readonly [number, number]

export interface BaselineResult {
  /** Library, version and operator. */
  readonly name: string
  /** Median of one call. */
  readonly ms: number
  readonly msQuartiles: Quartiles
  /** ONNX Runtime's `accuracy_level` of MatMulNBits: 0 lets it compute as it likes, 4 allows int8 activations; null where there is none. */
  readonly accuracyLevel: number | null
  /** Of the baseline's own outputs, against the same reference. */
  readonly nmse: number
}

export interface CaseResult extends SuiteCase {
  /** Median of one call; timed like the baseline: submits that end with reading an output back. */
  readonly ms: number
  readonly msQuartiles: Quartiles
  /** Median of one call by the GPU's own clock; null where it has none that says more (software adapters). */
  readonly gpuMs: number | null
  /** Timed samples, each of `calls` calls. */
  readonly samples: number
  readonly calls: number
  /** Of the least bytes that the operation must read and write, over `gpuMs`, else `ms`. */
  readonly gbPerSecond: number
  readonly gflops: number
  /** `gbPerSecond` and `gflops` as parts of what the adapter reaches at best. */
  readonly shareOfCopy: number
  readonly shareOfMultiplyAdd: number
  /** Σ(actual − expected)² / Σ expected² over the checked outputs; a case above `nmseMax` fails and is not timed. */
  readonly nmse: number
  readonly nmseMax: number
  /** Outputs that were compared with the f64 reference: all of a small case, else a random sample. */
  readonly checkedOutputs: number
  readonly outputs: number
  readonly baseline: BaselineResult | null
  /** Why `baseline` is null. */
  readonly baselineReason: string | null
  /** Median of the pairs' baseline ms / our ms: above 1 ours is faster. */
  readonly ratio: number | null
  readonly ratioQuartiles: Quartiles | null
}

/** A case that could not be measured; the others go on. */
export interface CaseFailure extends SuiteCase {
  readonly error: ErrorBody
}

export interface SuiteRun {
  readonly format: 'tabswarm-bench-1'
  readonly adapter: SuiteAdapter
  readonly kernelVersion: string
  readonly cases: readonly CaseResult[]
  readonly failures: readonly CaseFailure[]
}

export type SuitePhase = 'adapter' | 'preparing' | 'checking' | 'warming-up' | 'timing'

export interface SuiteProgress {
  /** Of the case that is worked on. */
  readonly caseIndex: number
  readonly caseCount: number
  readonly phase: SuitePhase
  /** Of this case, 0 to 1. */
  readonly part: number
}

export type SuiteEvent =
  | { readonly kind: 'adapter'; readonly adapter: SuiteAdapter }
  | { readonly kind: 'measured'; readonly result: CaseResult }
  | { readonly kind: 'failed'; readonly failure: CaseFailure }
