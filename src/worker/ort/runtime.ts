/**
 * OrtGraph: one ONNX graph with its weights, ready to run in ONNX Runtime's WebAssembly build. Weights go in as external data, so that
 * the file's description and the weights are never copied together; ONNX Runtime packs each matrix for its multiplication and drops
 * what it packed, so one copy stays. The runtime is handed in: pages, workers and Node load it from different files.
 */

import type { InferenceSession, InferenceSessionFactory, TensorConstructor } from 'onnxruntime-web'
import { type OnnxModel, onnxModel } from '../../onnx/index.ts'
import { required } from '../../shared/index.ts'

/** The part of `onnxruntime-web` that computes. */
export interface OrtRuntime {
  readonly InferenceSession: InferenceSessionFactory
  readonly Tensor: TensorConstructor
}

/** A weight of a graph: f32, row-major. */
export interface GraphWeight {
  readonly name: string
  readonly dims: readonly number[]
}

/** A graph whose weights come beside it. */
export interface GraphDescription extends Omit<OnnxModel, 'initializers'> {
  readonly weights: readonly GraphWeight[]
}

/** What a run is given: f32 values and their shape. */
export interface GraphInput {
  readonly data: Float32Array
  readonly dims: readonly number[]
}

/**
 * No optimizer: the graphs are written as they shall run, and a fused operator could sum in another order. No arena and no memory
 * pattern: both keep the memory of the largest run for ever, in each session.
 */
const OPTIONS: InferenceSession.SessionOptions = {
  executionProviders: ['wasm'],
  graphOptimizationLevel: 'disabled',
  enableCpuMemArena: false,
  enableMemPattern: false,
}

const WEIGHTS_FILE = 'weights'

export class OrtGraph {
  readonly #runtime: OrtRuntime
  readonly #session: InferenceSession

  private constructor(runtime: OrtRuntime, session: InferenceSession) {
    this.#runtime = runtime
    this.#session = session
  }

  /** `values` holds the weights one behind the other, in the order of the description. */
  static create(runtime: OrtRuntime, graph: GraphDescription, values: Float32Array<ArrayBuffer>): Promise<OrtGraph> {
    let byteOffset = 0
    const initializers = graph.weights.map(({ name, dims }) => {
      const data = { location: WEIGHTS_FILE, byteOffset, byteLength: 4 * elementCount(dims) }
      byteOffset += data.byteLength
      return { name, type: 'f32' as const, dims, data }
    })
    const externalData = [{ path: WEIGHTS_FILE, data: new Uint8Array(values.buffer, values.byteOffset, byteOffset) }]
    return OrtGraph.#open(runtime, { ...graph, initializers }, { externalData })
  }

  /** A graph that holds all its constants itself. */
  static createWhole(runtime: OrtRuntime, model: OnnxModel): Promise<OrtGraph> {
    return OrtGraph.#open(runtime, model, {})
  }

  static async #open(runtime: OrtRuntime, model: OnnxModel, options: InferenceSession.SessionOptions): Promise<OrtGraph> {
    return new OrtGraph(runtime, await runtime.InferenceSession.create(onnxModel(model), { ...OPTIONS, ...options }))
  }

  /** The outputs by name, each in memory of its own. */
  async run<Name extends string>(
    inputs: Readonly<Record<string, GraphInput>>,
    names: readonly Name[],
  ): Promise<Record<Name, Float32Array>> {
    const feeds = Object.entries(inputs).map(([name, { data, dims }]) => [name, new this.#runtime.Tensor('float32', data, dims)] as const)
    const results = await this.#session.run(Object.fromEntries(feeds), [...names])
    return Object.fromEntries(names.map((name) => [name, floats(required(results[name], name).data)])) as Record<Name, Float32Array>
  }

  /** Frees the weights at once. */
  release(): void {
    void this.#session.release()
  }
}

export function elementCount(dims: readonly number[]): number {
  return dims.reduce((product, size) => product * size, 1)
}

function floats(data: unknown): Float32Array {
  if (data instanceof Float32Array) return data
  throw new Error('assertion failed: an output of the graph is not f32')
}
