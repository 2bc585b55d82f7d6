/**
 * Speed probe: how many multiply-accumulates a second this device does in decode's mat-vec, for a volunteer's pledge. Measured, not
 * asked: adapters' names say little. A hint for placement only; real laps correct it.
 */

import { bindMatvec, KernelDevice, matrixBytes, type ShaderLibrary } from '../../kernels/index.ts'
import type { Clock } from '../../shared/index.ts'
import { tuningFor } from './tuning.ts'

/** A matrix of 11.8 MB in Q4_1: beyond the caches of most processors, 18.9 million multiply-accumulates. */
const COLUMNS = 2048
const OUTPUTS = 9216

/** How long the probe may compute; a slower device is done after one repetition. */
const PROBE_MS = 150

const TRIALS = 5

/** Dispatches of one repetition at most: 10 TMAC/s would need more, and that is fast enough. */
const REPETITIONS_MAX = 256

/** Multiply-accumulates a second of one row. Doubles the work until it takes long enough to be measured. */
export async function measureMacsPerSecond(device: GPUDevice, shaders: ShaderLibrary, clock: Clock): Promise<number> {
  const kernels = new KernelDevice(device, shaders)
  const { lanes, matvec } = tuningFor(device.adapterInfo, device.features)
  const type = 'Q4_1' as const
  const buffer = (size: number) => device.createBuffer({ size, usage: GPUBufferUsage.STORAGE })
  const buffers = { weights: buffer(matrixBytes(type, COLUMNS, OUTPUTS)), x: buffer(4 * COLUMNS), y: buffer(4 * OUTPUTS) }
  try {
    const shape = { type, columns: COLUMNS, outputs: OUTPUTS, yStride: OUTPUTS, yOffset: 0, accumulate: false }
    const dispatch = await bindMatvec(kernels, { type, rows: 1, lanes, form: matvec.single }, shape, buffers)
    const run = async (repetitions: number) => {
      const encoder = device.createCommandEncoder()
      const pass = encoder.beginComputePass()
      for (let index = 0; index < repetitions; index++) dispatch(pass)
      pass.end()
      const startMs = clock.nowMs()
      device.queue.submit([encoder.finish()])
      await device.queue.onSubmittedWorkDone()
      return Math.max(0.01, clock.nowMs() - startMs)
    }
    // The first run compiles and touches the memory; only the later ones count.
    await run(1)
    let repetitions = 1
    let durationMs = await run(repetitions)
    while (durationMs < PROBE_MS / 3 && repetitions < REPETITIONS_MAX) {
      repetitions *= 2
      durationMs = await run(repetitions)
    }
    // The best of several: whatever else the machine does can only make one slower.
    for (let trial = 1; trial < TRIALS; trial++) durationMs = Math.min(durationMs, await run(repetitions))
    return (COLUMNS * OUTPUTS * repetitions * 1000) / durationMs
  } finally {
    for (const each of Object.values(buffers)) each.destroy()
    kernels.release()
  }
}
