/**
 * Dawn in Node: one WebGPU device over the npm package `webgpu`. Which driver it finds is decided by the process's
 * environment, see gpuEnvironment.ts. Dawn's own warnings go to stderr.
 */

import { type OpenDeviceOptions, openDevice } from '../worker/index.ts'
import { calmWaits } from './calmWaits.ts'
import { GpuError } from './gpuError.ts'

export interface NodeGpu {
  readonly adapter: GPUAdapter
  readonly device: GPUDevice
  readonly info: GPUAdapterInfo
  /** What a person should read. */
  readonly description: string
  /** Computes on the CPU. */
  readonly software: boolean
}

/** Dawn's instance must outlive every object made from it: collected early, it takes the process down. */
let instance: GPU | undefined

/** A device with every wanted feature and limit that the adapter has. Rejects with a GpuError. */
export async function openNodeGpu(options?: OpenDeviceOptions): Promise<NodeGpu> {
  instance ??= await startDawn()
  const opened = await openDevice(instance, options)
  if (opened === null) throw new GpuError('no-adapter', noAdapterMessage())
  const { adapter, device, description, software } = opened
  return { adapter, device, info: adapter.info, description, software }
}

/** Imported late: the package is native code, which other commands do without. */
async function startDawn(): Promise<GPU> {
  try {
    const { create, globals } = await import('webgpu')
    Object.assign(globalThis, globals)
    calmWaits()
    return create([])
  } catch (cause) {
    throw new GpuError('no-adapter', `Dawn did not start: ${cause instanceof Error ? cause.message : String(cause)}`, { cause })
  }
}

function noAdapterMessage(): string {
  const driver = process.env.VK_DRIVER_FILES ?? process.env.VK_ICD_FILENAMES
  const where = driver === undefined ? '' : ` with the driver ${driver}`
  return (
    `WebGPU found no adapter${where}. Install a Vulkan driver (Debian: libvulkan1 and mesa-vulkan-drivers, Mesa 25 or newer), ` +
    'or use --adapter swiftshader, which needs nothing installed.'
  )
}
