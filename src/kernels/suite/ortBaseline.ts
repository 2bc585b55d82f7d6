/**
 * ONNX Runtime's WebGPU backend as the suite's baseline; the same code over onnxruntime-web (in a tab) and onnxruntime-node. Inputs,
 * weights and outputs stay on the GPU, but for the first row of the last call's outputs: as in sampler.ts.
 */

import type { InferenceSession, Tensor, TensorConstructor } from 'onnxruntime-web'
import { halfToFloat } from '../../model/index.ts'
import { assert, type Clock, required } from '../../shared/index.ts'
import type { Baseline, BaselineSubject, PreparedBaseline } from './baseline.ts'
import type { AttentionData, ProjectionData } from './caseData.ts'
import { attentionGraph, identityGraph, type OrtGraph, projectionGraph, READ_BACK } from './ortGraphs.ts'
import { median } from './statistics.ts'

/** What both packages offer. */
export interface OrtRuntime {
  /** `onnxruntime-web 1.30.0`. */
  readonly name: string
  readonly createSession: (model: Uint8Array<ArrayBuffer>, options: InferenceSession.SessionOptions) => Promise<InferenceSession>
  readonly Tensor: TensorConstructor
}

/** Runs of each form before the faster is chosen. */
const FORM_RUNS = 3

export function ortBaseline(runtime: OrtRuntime, clock: Clock): Baseline {
  return {
    async prepare(entry, data, calls): Promise<PreparedBaseline> {
      if (data.kind === 'attention') {
        const kvType = entry.format === 'f16' ? 'f16' : 'f32'
        return { subject: await attentionSubject(runtime, clock, kvType, data) }
      }
      const graph = projectionGraph(entry.format, data, calls)
      if ('reason' in graph) return graph
      return { subject: await projectionSubject(runtime, clock, graph, data, calls) }
    },
  }
}

type Feeds = Readonly<Record<string, Tensor>>

async function projectionSubject(
  runtime: OrtRuntime,
  clock: Clock,
  graph: OrtGraph,
  { rows, inputs, x }: ProjectionData,
  calls: number,
): Promise<BaselineSubject> {
  const session = await openSession(runtime, graph)
  const input = await toGpu(runtime, 'f32', x, [rows, inputs])
  const feeds = { x: input.tensor }
  let first = new Float32Array()
  return {
    name: `${runtime.name} ${graph.operator}`,
    accuracyLevel: graph.accuracyLevel,
    async sample(count) {
      assert(count === calls, `the graph has ${calls} calls, not ${count}`)
      const startMs = clock.nowMs()
      const results = await session.run(feeds)
      const ms = (clock.nowMs() - startMs) / calls
      first = floats(required(results[READ_BACK], READ_BACK))
      for (const name of graph.outputsKept) results[name]?.dispose()
      return ms
    },
    firstRow: () => first,
    async destroy() {
      await session.release()
      await input.destroy()
    },
  }
}

/** A run, timed, with what it reads back. */
type Form = () => Promise<{ readonly ms: number; readonly first: Float32Array }>

async function attentionSubject(runtime: OrtRuntime, clock: Clock, kvType: 'f32' | 'f16', data: AttentionData): Promise<BaselineSubject> {
  const graph = attentionGraph(kvType, data)
  const session = await openSession(runtime, graph)
  const { feeds, destroy } = await attentionFeeds(runtime, kvType, data)
  const timed = async (run: () => Promise<InferenceSession.OnnxValueMapType>, keep: boolean) => {
    const startMs = clock.nowMs()
    const results = await run()
    const ms = clock.nowMs() - startMs
    const first = floats(required(results[READ_BACK] as Tensor | undefined, READ_BACK))
    if (!keep) for (const name of graph.outputsKept) results[name]?.dispose()
    return { ms, first }
  }
  // The new position is written where the cache lies, or the cache is copied; which is faster differs.
  const inPlace = { [READ_BACK]: null, present_key: required(feeds.past_key, 'keys'), present_value: required(feeds.past_value, 'values') }
  const forms: readonly (readonly [string, Form])[] = [
    ['cache in place', () => timed(() => session.run(feeds, inPlace), true)],
    ['cache copied', () => timed(() => session.run(feeds), false)],
  ]
  const [form, run] = await fastest(forms)
  let first = new Float32Array()
  return {
    name: `${runtime.name} ${graph.operator}, ${form}`,
    accuracyLevel: graph.accuracyLevel,
    async sample(count) {
      assert(count === 1, `attention is timed one call a run, not ${count}`)
      const result = await run()
      first = new Float32Array(result.first)
      return result.ms
    },
    firstRow: () => first,
    async destroy() {
      await session.release()
      await destroy()
    },
  }
}

async function fastest(forms: readonly (readonly [string, Form])[]): Promise<readonly [string, Form]> {
  let best: { readonly form: readonly [string, Form]; readonly ms: number } | null = null
  for (const form of forms) {
    await form[1]()
    const times: number[] = []
    for (let run = 0; run < FORM_RUNS; run++) times.push((await form[1]()).ms)
    const ms = median(times)
    if (best === null || ms < best.ms) best = { form, ms }
  }
  return required(best, 'a form').form
}

async function attentionFeeds(runtime: OrtRuntime, kvType: 'f32' | 'f16', data: AttentionData) {
  const { positions, heads, kvHeads, headSize } = data
  const cache = [1, kvHeads, positions, headSize]
  const last = (positions - 1) * kvHeads * headSize
  const uploads = {
    query: await toGpu(runtime, kvType, data.query, [1, 1, heads * headSize]),
    key: await toGpu(runtime, kvType, data.keys.slice(last), [1, 1, kvHeads * headSize]),
    value: await toGpu(runtime, kvType, data.values.slice(last), [1, 1, kvHeads * headSize]),
    past_key: await toGpu(runtime, kvType, headMajor(data, data.keys), cache),
    past_value: await toGpu(runtime, kvType, headMajor(data, data.values), cache),
  }
  const feeds: Feeds = {
    ...Object.fromEntries(Object.entries(uploads).map(([name, { tensor }]) => [name, tensor])),
    lengths: new runtime.Tensor('int32', Int32Array.of(positions - 1), [1]),
    total: new runtime.Tensor('int32', Int32Array.of(positions), [1]),
  }
  const destroy = async () => {
    for (const upload of Object.values(uploads)) await upload.destroy()
  }
  return { feeds, destroy }
}

/** [positions, KV heads, head size] as ONNX Runtime wants it: [KV heads, positions, head size]. */
function headMajor({ positions, kvHeads, headSize }: AttentionData, values: Float32Array): Float32Array<ArrayBuffer> {
  const result = new Float32Array(values.length)
  for (let position = 0; position < positions; position++) {
    for (let head = 0; head < kvHeads; head++) {
      const from = (position * kvHeads + head) * headSize
      result.set(values.subarray(from, from + headSize), (head * positions + position) * headSize)
    }
  }
  return result
}

function openSession(runtime: OrtRuntime, graph: OrtGraph): Promise<InferenceSession> {
  const kept = graph.outputsKept.map((name) => [name, 'gpu-buffer'] as const)
  return runtime.createSession(graph.model, {
    executionProviders: ['webgpu'],
    // Equal nodes must all be computed, not merged into one.
    graphOptimizationLevel: 'disabled',
    // The GPU computes; waiting threads that spin would only take the CPU from a software adapter, on either side.
    intraOpNumThreads: 1,
    interOpNumThreads: 1,
    preferredOutputLocation: { ...Object.fromEntries(kept), [READ_BACK]: 'cpu' },
  })
}

/** A tensor on the GPU that stays there until `destroy`. */
async function toGpu(runtime: OrtRuntime, type: 'f32' | 'f16', values: Float32Array<ArrayBuffer>, dims: readonly number[]) {
  const session = await runtime.createSession(identityGraph(type, dims.length), {
    executionProviders: ['webgpu'],
    preferredOutputLocation: 'gpu-buffer',
  })
  const x =
    type === 'f32' ? new runtime.Tensor('float32', values, dims) : new runtime.Tensor('float16', Uint16Array.from(values, exactHalf), dims)
  const { y } = await session.run({ x })
  const tensor = required(y, 'the tensor on the GPU')
  const destroy = async () => {
    tensor.dispose()
    await session.release()
  }
  return { tensor, destroy }
}

/** Bits of the half that equals `value`: a multiple of 2⁻¹⁰ in [−1, 1]. */
function exactHalf(value: number): number {
  const sign = value < 0 ? 0x8000 : 0
  const magnitude = Math.abs(value)
  if (magnitude === 0) return sign
  const exponent = Math.floor(Math.log2(magnitude))
  return sign | ((exponent + 15) << 10) | ((magnitude / 2 ** exponent - 1) * 1024)
}

/** A tensor read back, as floats: halves come as a Float16Array where there is one, else as bits. */
function floats(tensor: Tensor): Float32Array<ArrayBuffer> {
  const { data } = tensor
  if (data instanceof Float32Array) return new Float32Array(data)
  if (data instanceof Uint16Array) return Float32Array.from(data, halfToFloat)
  return Float32Array.from(data as unknown as ArrayLike<number>)
}
