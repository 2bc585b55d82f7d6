/**
 * What an adapter reaches at best: bytes a second in copying a large buffer, multiply-adds a second in registers. The two lines that
 * a kernel's figures are read against. Shaders: suite_copy.wgsl, suite_multiply_add.wgsl.
 */

import type { Clock } from '../../shared/index.ts'
import { defineKernel, foldGrid, type KernelDevice } from '../index.ts'
import { GpuBuffers } from './gpuBuffers.ts'

const WORKGROUP = 64
/** Beyond every cache of today's GPUs; software adapters share the CPU's, and their time is dear. */
const COPY_BYTES = { hardware: 512 * 2 ** 20, software: 64 * 2 ** 20 }
const MULTIPLY_ADD_WORKGROUPS = { hardware: 8192, software: 64 }
/** Vec4 multiply-adds of one invocation: 8 independent chains, so that none waits for itself. */
const CHAINS = 8
const STEPS = 256
/** The best of these counts: whatever else the machine does can only make one slower. */
const TRIALS = 5
/** One trial takes about this long, so that submitting it counts little. */
const TRIAL_MS = 20
const REPETITIONS_MAX = 64

interface CopyShape {
  /** Vec4 of f32 to copy. */
  readonly count: number
}

const copyKernel = defineKernel<void, CopyShape, void>({
  name: 'suite_copy',
  bindings: ['read', 'write', 'uniform'],
  usesWork: false,
  nmseMax: 0,
  defines: () => ({ WORKGROUP }),
  uniform: ({ count }) => Uint32Array.of(count, 0, 0, 0),
  grid: ({ count }) => foldGrid(Math.ceil(count / WORKGROUP)),
})

interface MultiplyAddShape {
  readonly workgroups: number
}

const multiplyAddKernel = defineKernel<void, MultiplyAddShape, void>({
  name: 'suite_multiply_add',
  bindings: ['write', 'uniform'],
  usesWork: false,
  nmseMax: 1e-6,
  defines: () => ({ WORKGROUP, CHAINS }),
  uniform: () => Uint32Array.of(STEPS, 0, 0, 0),
  grid: ({ workgroups }) => foldGrid(workgroups),
})

export interface Roofline {
  readonly copyGbPerSecond: number
  readonly multiplyAddGflops: number
}

/** Takes about a second, most of it compiling on software adapters. */
export async function measureRoofline(kernels: KernelDevice, clock: Clock, software: boolean): Promise<Roofline> {
  const { device } = kernels
  const kind = software ? 'software' : 'hardware'
  const { maxBufferSize, maxStorageBufferBindingSize } = device.limits
  const bytes = 256 * Math.floor(Math.min(COPY_BYTES[kind], maxBufferSize, maxStorageBufferBindingSize) / 256)
  const buffers = new GpuBuffers(device)
  try {
    const copied = [buffers.storage('the source', bytes), buffers.storage('the copy', bytes)]
    const copy = await kernels.prepare(copyKernel, undefined, { count: bytes / 16 }, copied)
    const copyMs = await best(device, clock, (pass) => copy(pass, undefined, null))
    const workgroups = MULTIPLY_ADD_WORKGROUPS[kind]
    const out = buffers.storage('the sums', 16 * workgroups * WORKGROUP)
    const multiplyAdd = await kernels.prepare(multiplyAddKernel, undefined, { workgroups }, [out])
    const multiplyAddMs = await best(device, clock, (pass) => multiplyAdd(pass, undefined, null))
    const operations = 2 * 4 * CHAINS * STEPS * WORKGROUP * workgroups
    return { copyGbPerSecond: (2 * bytes) / copyMs / 1e6, multiplyAddGflops: operations / multiplyAddMs / 1e6 }
  } finally {
    buffers.destroy()
  }
}

async function best(device: GPUDevice, clock: Clock, encode: (pass: GPUComputePassEncoder) => void): Promise<number> {
  const trial = async (repetitions: number) => {
    const encoder = device.createCommandEncoder()
    const pass = encoder.beginComputePass()
    for (let repetition = 0; repetition < repetitions; repetition++) encode(pass)
    pass.end()
    const startMs = clock.nowMs()
    device.queue.submit([encoder.finish()])
    await device.queue.onSubmittedWorkDone()
    return Math.max(1e-3, clock.nowMs() - startMs)
  }
  // The first touches the memory for the first time.
  await trial(1)
  const repetitions = Math.min(REPETITIONS_MAX, Math.max(1, Math.ceil(TRIAL_MS / (await trial(1)))))
  let bestMs = Number.POSITIVE_INFINITY
  for (let count = 0; count < TRIALS; count++) bestMs = Math.min(bestMs, (await trial(repetitions)) / repetitions)
  return bestMs
}
