/** One WebGPU device with every feature and limit that the kernels can use and the adapter has; nothing is demanded. */

import { isSoftwareAdapter } from './tuning.ts'

export interface OpenedDevice {
  readonly adapter: GPUAdapter
  readonly device: GPUDevice
  /** What a person should read. */
  readonly description: string
  /** Computes on the CPU (SwiftShader, lavapipe, WARP): honest, slow. */
  readonly software: boolean
}

const FEATURES_WANTED: readonly GPUFeatureName[] = ['shader-f16', 'subgroups', 'timestamp-query']

/** Each is requested as high as the adapter goes. */
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

export interface OpenDeviceOptions {
  /** `adapter`: each limit as high as it goes; `default`: what every WebGPU has, to find out what needs more. */
  readonly limits?: 'adapter' | 'default'
}

/** Null where the host has no adapter. */
export async function openDevice(gpu: GPU, { limits = 'adapter' }: OpenDeviceOptions = {}): Promise<OpenedDevice | null> {
  const adapter = await gpu.requestAdapter({ powerPreference: 'high-performance' })
  if (adapter === null) return null
  const requiredFeatures = FEATURES_WANTED.filter((name) => adapter.features.has(name))
  const wanted = limits === 'adapter' ? LIMITS_WANTED : []
  const requiredLimits = Object.fromEntries(wanted.map((name) => [name, adapter.limits[name]]))
  const device = await adapter.requestDevice({ requiredFeatures, requiredLimits })
  const { vendor, architecture, description, device: model } = adapter.info
  const name = description || model || `${vendor} ${architecture}`.trim() || 'unnamed adapter'
  return { adapter, device, description: name, software: isSoftwareAdapter(adapter.info) }
}
