/**
 * Dawn in Node: one WebGPU device over the npm package `webgpu`. Which driver it finds is decided by the process's
 * environment, see gpuEnvironment.ts. Dawn's own warnings go to stderr.
 */

import { GpuError } from './gpuError.ts'

export interface NodeGpu {
  readonly adapter: GPUAdapter
  readonly device: GPUDevice
  readonly info: GPUAdapterInfo
  /** What a person should read. */
  readonly description: string
}

export interface NodeGpuOptions {
  /** Optional features to leave out even where the adapter has them, to test the paths without. */
  readonly without?: readonly GPUFeatureName[]
}

const FEATURES_WANTED: readonly GPUFeatureName[] = ['shader-f16', 'subgroups', 'timestamp-query']

/** Limits that kernels ask for; each is requested as high as the adapter goes. */
const LIMITS_WANTED = [
  'maxBufferSize',
  'maxStorageBufferBindingSize',
  'maxStorageBuffersPerShaderStage',
  'maxComputeInvocationsPerWorkgroup',
  'maxComputeWorkgroupSizeX',
  'maxComputeWorkgroupSizeY',
  'maxComputeWorkgroupSizeZ',
  'maxComputeWorkgroupStorageSize',
] as const satisfies readonly (keyof GPUSupportedLimits)[]

/** Dawn's instance must outlive every object made from it: collected early, it takes the process down. */
let instance: GPU | undefined

/** A device with every wanted feature and limit that the adapter has. Rejects with a GpuError. */
export async function openNodeGpu(options: NodeGpuOptions = {}): Promise<NodeGpu> {
  instance ??= await startDawn()
  const adapter = await instance.requestAdapter()
  if (adapter === null) throw new GpuError('no-adapter', noAdapterMessage())
  const requiredFeatures = FEATURES_WANTED.filter((name) => adapter.features.has(name) && !options.without?.includes(name))
  const requiredLimits = Object.fromEntries(LIMITS_WANTED.map((name) => [name, adapter.limits[name]]))
  const device = await adapter.requestDevice({ requiredFeatures, requiredLimits })
  const { info } = adapter
  return { adapter, device, info, description: info.description || `${info.vendor} ${info.architecture}`.trim() }
}

/** Imported late: the package is native code, which other commands do without. */
async function startDawn(): Promise<GPU> {
  try {
    const { create, globals } = await import('webgpu')
    Object.assign(globalThis, globals)
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
