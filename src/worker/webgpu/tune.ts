/**
 * A short tuning run: times the forms of matvec and matmul on this adapter and remembers the fastest. All have equal orders of
 * summation, so the choice changes speed and no bit; what would change bits (`lanes`) is fixed by the class of the adapter.
 */

import {
  bindMatmul,
  bindMatvec,
  formsFor,
  type GroupRows,
  KernelDevice,
  type MatmulForm,
  type MatvecForm,
  matmulRowsPadded,
  matrixBytes,
  type ShaderLibrary,
} from '../../kernels/index.ts'
import type { Clock } from '../../shared/index.ts'
import { EngineError } from '../errors.ts'
import { type Tuning, tuningFor } from './tuning.ts'

/** Where choices are kept, by adapter; what it gives back is checked. */
export interface TuningStore {
  get(key: string): Promise<unknown>
  set(key: string, value: unknown): Promise<void>
}

export interface TunerOptions {
  readonly device: GPUDevice
  readonly adapterInfo: GPUAdapterInfo
  readonly shaders: ShaderLibrary
  readonly clock: Clock
  readonly store: TuningStore
  /** Browser and version, or what else decides how shaders are compiled; with the adapter and the kernel version it names the choice. */
  readonly host: string
  readonly kernelVersion: string
}

/** What to compute with; rejects with an EngineError `aborted`. */
export type Tuner = (signal: AbortSignal) => Promise<Tuning>

/** The matrix that forms multiply with: as wide as a small model's, 2.6 MB in Q4_1. */
const TYPE = 'Q4_1'
const COLUMNS = 2048
const OUTPUTS = 2048
const PROMPT_ROWS = 64

/** The whole run may take about this long, compiling included; what was not tried by then is not chosen. */
const BUDGET_MS = 1_500
/** One timing: long enough for clocks of 0.1 ms, as browsers have. */
const SAMPLE_MS = 10
const REPETITIONS_MAX = 64
const SAMPLES = 3
/** Another form must be so much faster than the adapter's usual one: less is noise. */
const GAIN_MIN = 1.05

const matmulForms: readonly MatmulForm[] = ['tile', 'broadcast']

/** Looks into the store first; a run that was stopped leaves nothing there. */
export function createTuner(options: TunerOptions): Tuner {
  const usual = tuningFor(options.adapterInfo, options.device.features)
  const { vendor, architecture, device, description } = options.adapterInfo
  const key = [options.kernelVersion, vendor, architecture, device, description, options.host].join(' | ')
  let chosen: Tuning | null = null
  return async (signal) => {
    chosen ??= parseTuning(await options.store.get(key).catch(() => undefined), usual, options)
    if (chosen !== null) return chosen
    const tuning = await measure(options, usual, signal)
    chosen = tuning
    // A store that is full or forbidden costs a run at each start.
    await options.store.set(key, { matvec: tuning.matvec, matmul: tuning.matmul }).catch(() => undefined)
    return tuning
  }
}

/** Null for what this adapter cannot run, or what is no choice at all. */
function parseTuning(stored: unknown, usual: Tuning, options: TunerOptions): Tuning | null {
  if (typeof stored !== 'object' || stored === null) return null
  const text = JSON.stringify(stored)
  // What can be chosen at all is little: a stored choice that is none of these is not believed.
  const forms = matvecForms(options, usual.lanes)
  const choices = forms.flatMap((single) => forms.flatMap((group) => matmulForms.map((matmul) => ({ matvec: { single, group }, matmul }))))
  const choice = choices.find((candidate) => JSON.stringify(candidate) === text)
  return choice === undefined ? null : { ...usual, ...choice }
}

function matvecForms({ device, adapterInfo }: TunerOptions, lanes: number) {
  return formsFor({ subgroups: device.features.has('subgroups'), subgroupMinSize: adapterInfo.subgroupMinSize ?? 0 }, lanes)
}

/** One form's work, encoded once or more into a pass. */
type Encode = (pass: GPUComputePassEncoder) => void

async function measure(options: TunerOptions, usual: Tuning, signal: AbortSignal): Promise<Tuning> {
  const { device, shaders, clock } = options
  const kernels = new KernelDevice(device, shaders)
  const buffer = (size: number) => device.createBuffer({ label: 'tuning', size, usage: GPUBufferUsage.STORAGE })
  const rows = matmulRowsPadded(PROMPT_ROWS)
  const weights = buffer(matrixBytes(TYPE, COLUMNS, OUTPUTS))
  const buffers = { weights, x: buffer(4 * rows * COLUMNS), y: buffer(4 * rows * OUTPUTS) }
  const shape = { type: TYPE, columns: COLUMNS, outputs: OUTPUTS, yStride: OUTPUTS, yOffset: 0, accumulate: false } as const
  const endMs = clock.nowMs() + BUDGET_MS
  const choose = <Form>(first: Form, forms: readonly Form[], bind: (form: Form) => Promise<Encode>) =>
    fastest({ device, clock, signal, endMs }, first, forms, bind)
  try {
    const chooseMatvec = (first: MatvecForm, count: GroupRows) =>
      choose(first, matvecForms(options, usual.lanes), (form) =>
        bindMatvec(kernels, { type: TYPE, rows: count, lanes: usual.lanes, form }, shape, buffers),
      )
    const single = await chooseMatvec(usual.matvec.single, 1)
    const matmul = await choose(usual.matmul, matmulForms, async (form) => {
      const multiply = await bindMatmul(kernels, form, shape, buffers)
      return (pass) => multiply(pass, PROMPT_ROWS)
    })
    // Last: the widest variants compile the longest.
    const group = await chooseMatvec(usual.matvec.group, 8)
    return { ...usual, matvec: { single, group }, matmul }
  } finally {
    for (const each of Object.values(buffers)) each.destroy()
    kernels.release()
  }
}

interface Race {
  readonly device: GPUDevice
  readonly clock: Clock
  readonly signal: AbortSignal
  readonly endMs: number
}

/** The form whose best sample is the shortest; `first`, the usual one, unless another is clearly better, or where no time is left. */
async function fastest<Form>(race: Race, first: Form, forms: readonly Form[], bind: (form: Form) => Promise<Encode>): Promise<Form> {
  if (race.clock.nowMs() >= race.endMs) return first
  let best = { form: first, ms: GAIN_MIN ** -1 * (await bestSample(race, await bind(first))) }
  for (const form of forms) {
    if (JSON.stringify(form) === JSON.stringify(first) || race.clock.nowMs() >= race.endMs) continue
    const ms = await bestSample(race, await bind(form))
    if (ms < best.ms) best = { form, ms }
  }
  return best.form
}

/** Milliseconds of one repetition; the shortest of several samples, since other work can only add. */
async function bestSample(race: Race, encode: Encode): Promise<number> {
  // The first run compiles what the driver put off, and touches the memory.
  await sample(race, encode, 1)
  let repetitions = 1
  let ms = await sample(race, encode, repetitions)
  while (ms * repetitions < SAMPLE_MS && repetitions < REPETITIONS_MAX) {
    repetitions *= 2
    ms = await sample(race, encode, repetitions)
  }
  for (let index = 1; index < SAMPLES; index++) ms = Math.min(ms, await sample(race, encode, repetitions))
  return ms
}

async function sample({ device, clock, signal }: Race, encode: Encode, repetitions: number): Promise<number> {
  if (signal.aborted) throw new EngineError('aborted', 'tuning was stopped before it was done')
  const encoder = device.createCommandEncoder()
  const pass = encoder.beginComputePass()
  for (let index = 0; index < repetitions; index++) encode(pass)
  pass.end()
  const startMs = clock.nowMs()
  device.queue.submit([encoder.finish()])
  await device.queue.onSubmittedWorkDone()
  return (clock.nowMs() - startMs) / repetitions
}
