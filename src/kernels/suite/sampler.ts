/**
 * Times calls of a subject. A sample is `calls` calls in submits of at most CALLS_A_SUBMIT, ended by reading the first row of the
 * outputs back: what a baseline does too, so that both are timed alike. Each sample is awaited, so nobody's page freezes.
 */

import type { Clock } from '../../shared/index.ts'
import { normalizedError } from './statistics.ts'
import type { Subject } from './subject.ts'

/** ONNX Runtime submits after 16 dispatches, so do we. */
export const CALLS_A_SUBMIT = 16

/** What a case's two sides have in common. */
export interface Sampler {
  /** Milliseconds of one call, as the mean over the sample's calls. */
  sample(calls: number): Promise<number>
}

export class SubjectSampler implements Sampler {
  readonly #device: GPUDevice
  readonly #clock: Clock
  readonly #subject: Subject
  readonly #staging: GPUBuffer
  readonly #timestamps: Timestamps | null

  /** With `useTimestamps`, `gpuMs` tells each sample's time on the GPU's own clock. */
  constructor(device: GPUDevice, clock: Clock, subject: Subject, useTimestamps: boolean) {
    this.#device = device
    this.#clock = clock
    this.#subject = subject
    const usage = GPUBufferUsage.MAP_READ | GPUBufferUsage.COPY_DST
    this.#staging = device.createBuffer({ label: 'sample', size: 4 * subject.outputs, usage })
    this.#timestamps = useTimestamps && device.features.has('timestamp-query') ? new Timestamps(device) : null
  }

  async sample(calls: number): Promise<number> {
    const startMs = this.#clock.nowMs()
    for (let done = 0; done < calls; done += CALLS_A_SUBMIT) {
      const count = Math.min(CALLS_A_SUBMIT, calls - done)
      const encoder = this.#device.createCommandEncoder()
      const pass = encoder.beginComputePass()
      for (let call = 0; call < count; call++) this.#subject.encode(pass)
      pass.end()
      if (done + count === calls) encoder.copyBufferToBuffer(this.#subject.output, 0, this.#staging, 0, 4 * this.#subject.outputs)
      this.#device.queue.submit([encoder.finish()])
    }
    await this.#staging.mapAsync(GPUMapMode.READ)
    const ms = (this.#clock.nowMs() - startMs) / calls
    this.#staging.unmap()
    return ms
  }

  /** Milliseconds of one call by the GPU's clock, over one submit of up to CALLS_A_SUBMIT calls; null without timestamps. */
  async gpuMs(calls: number): Promise<number | null> {
    if (this.#timestamps === null) return null
    const count = Math.min(CALLS_A_SUBMIT, calls)
    const ms = await this.#timestamps.measure((pass) => {
      for (let call = 0; call < count; call++) this.#subject.encode(pass)
    })
    return ms === null ? null : ms / count
  }

  /** One call's outputs against the reference. */
  async check(): Promise<number> {
    const { output, rows, outputs, rowStrideBytes, expected } = this.#subject
    const size = rows * rowStrideBytes
    const staging = this.#device.createBuffer({ label: 'check', size, usage: GPUBufferUsage.MAP_READ | GPUBufferUsage.COPY_DST })
    const encoder = this.#device.createCommandEncoder()
    // What a kernel leaves out must not look right.
    encoder.clearBuffer(output)
    const pass = encoder.beginComputePass()
    this.#subject.encode(pass)
    pass.end()
    encoder.copyBufferToBuffer(output, 0, staging, 0, size)
    this.#device.queue.submit([encoder.finish()])
    await staging.mapAsync(GPUMapMode.READ)
    const values = new Float32Array(staging.getMappedRange())
    const stride = rowStrideBytes / 4
    const actual = Float64Array.from(
      expected.indices,
      (index) => values[Math.floor(index / outputs) * stride + (index % outputs)] ?? Number.NaN,
    )
    staging.destroy()
    return normalizedError(actual, expected.values)
  }

  destroy(): void {
    this.#staging.destroy()
    this.#timestamps?.destroy()
    this.#subject.buffers.destroy()
  }
}

/** Begin and end of a pass on the GPU's clock. Browsers may round them to 0.1 ms. */
class Timestamps {
  readonly #device: GPUDevice
  readonly #querySet: GPUQuerySet
  readonly #resolved: GPUBuffer
  readonly #staging: GPUBuffer

  constructor(device: GPUDevice) {
    this.#device = device
    this.#querySet = device.createQuerySet({ type: 'timestamp', count: 2 })
    this.#resolved = device.createBuffer({ size: 16, usage: GPUBufferUsage.QUERY_RESOLVE | GPUBufferUsage.COPY_SRC })
    this.#staging = device.createBuffer({ size: 16, usage: GPUBufferUsage.MAP_READ | GPUBufferUsage.COPY_DST })
  }

  /** Null where the clock did not move: too coarse for so little. */
  async measure(encode: (pass: GPUComputePassEncoder) => void): Promise<number | null> {
    const encoder = this.#device.createCommandEncoder()
    const timestampWrites = { querySet: this.#querySet, beginningOfPassWriteIndex: 0, endOfPassWriteIndex: 1 }
    const pass = encoder.beginComputePass({ timestampWrites })
    encode(pass)
    pass.end()
    encoder.resolveQuerySet(this.#querySet, 0, 2, this.#resolved, 0)
    encoder.copyBufferToBuffer(this.#resolved, 0, this.#staging, 0, 16)
    this.#device.queue.submit([encoder.finish()])
    await this.#staging.mapAsync(GPUMapMode.READ)
    const [begin = 0n, end = 0n] = new BigUint64Array(this.#staging.getMappedRange())
    const nanoseconds = Number(end - begin)
    this.#staging.unmap()
    return nanoseconds > 0 ? nanoseconds / 1e6 : null
  }

  destroy(): void {
    this.#querySet.destroy()
    this.#resolved.destroy()
    this.#staging.destroy()
  }
}
