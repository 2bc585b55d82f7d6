/** The kernel suite's Web Worker: a composition root with the real GPU and clock, offered to the page through comlink. */

import { expose } from 'comlink'
import { KernelDevice } from '../kernels/index.ts'
import {
  type Baseline,
  measureAdapter,
  ortBaseline,
  runSuite,
  type SuiteAdapter,
  type SuiteApi,
  type SuiteMessage,
  type SuiteRunRequest,
} from '../kernels/suite/index.ts'
import { type Clock, err, ok, TabswarmError, toErrorBody } from '../shared/index.ts'
import { bundledShader } from './shaderBundle.ts'
import { openDevice } from './webgpu/openDevice.ts'
import { tuningFor } from './webgpu/tuning.ts'

const clock: Clock = {
  nowMs: () => performance.now(),
  after(delayMs, callback) {
    const timer = setTimeout(callback, delayMs)
    return () => clearTimeout(timer)
  },
}

interface Opened {
  readonly kernels: KernelDevice
  readonly info: GPUAdapterInfo
  readonly adapter: SuiteAdapter
}

let opened: Promise<Opened> | null = null
let running: AbortController | null = null

async function open(): Promise<Opened> {
  // Absent in browsers without WebGPU, and in insecure contexts.
  const gpu: GPU | undefined = navigator.gpu
  const found = gpu === undefined ? null : await openDevice(gpu)
  if (found === null)
    throw new TabswarmError(
      'no-adapter',
      'this browser offers no GPU through WebGPU; use a current one, and check that hardware acceleration is on',
    )
  const { device, description, software } = found
  const { info } = found.adapter
  const kernels = new KernelDevice(device, bundledShader)
  const adapter = await measureAdapter({ kernels, info, description, software, runtime: browserName(), clock })
  return { kernels, info, adapter }
}

/** Fetched from this site when it is first asked for: 27 MB. */
async function loadBaseline(): Promise<Baseline> {
  const ort = await import('onnxruntime-web/webgpu')
  // The GPU computes; threads would only start workers.
  ort.env.wasm.numThreads = 1
  const name = `onnxruntime-web ${ort.env.versions.web ?? ''}`.trim()
  const createSession = ort.InferenceSession.create.bind(ort.InferenceSession)
  return ortBaseline({ name, createSession: (model, options) => createSession(model, options), Tensor: ort.Tensor }, clock)
}

async function run({ cases, baseline }: SuiteRunRequest, listen: (message: SuiteMessage) => void, signal: AbortSignal) {
  const onProgress = (progress: Extract<SuiteMessage, { kind: 'progress' }>['progress']) => listen({ kind: 'progress', progress })
  onProgress({ caseIndex: 0, caseCount: cases.length, phase: 'adapter', part: 0 })
  opened ??= open()
  const { kernels, info, adapter } = await opened
  listen({ kind: 'adapter', adapter })
  const events = runSuite({
    kernels,
    adapter,
    tuning: tuningFor(info, kernels.device.features),
    cases,
    baseline: baseline === 'ort' ? await loadBaseline() : null,
    clock,
    signal,
    onProgress,
  })
  for await (const event of events) listen(event)
}

const api: SuiteApi = {
  async adapter() {
    try {
      opened ??= open()
      return ok((await opened).adapter)
    } catch (error) {
      opened = null
      return err(toErrorBody(error))
    }
  },
  async run(request, listen) {
    if (running !== null) return err({ reason: 'busy', message: 'a run is under way; cancel it first' })
    const controller = new AbortController()
    running = controller
    try {
      await run(request, listen, controller.signal)
      return ok(controller.signal.aborted ? 'cancelled' : 'done')
    } catch (error) {
      opened = null
      return err(toErrorBody(error))
    } finally {
      running = null
    }
  },
  async cancel() {
    running?.abort()
  },
}

/** `Chromium 156`: what ran, for whoever reads an exported file. */
function browserName(): string {
  const found = /(Firefox|Edg|Chrome|Version)\/(\d+)/.exec(navigator.userAgent)
  if (found === null) return 'a browser'
  const names: Readonly<Record<string, string>> = { Edg: 'Edge', Chrome: 'Chromium', Version: 'Safari' }
  return `${names[found[1] ?? ''] ?? found[1]} ${found[2]}`
}

expose(api)
