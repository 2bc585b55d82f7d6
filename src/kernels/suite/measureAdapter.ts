/** The adapter as the suite reports it: what it says of itself, and what it was measured to reach at best. */

import type { Clock } from '../../shared/index.ts'
import type { KernelDevice } from '../index.ts'
import { measureRoofline } from './roofline.ts'
import type { SuiteAdapter } from './types.ts'

/** Features that change which kernels run or how they are timed. */
const FEATURES: readonly GPUFeatureName[] = ['shader-f16', 'subgroups', 'timestamp-query']

export interface AdapterRequest {
  readonly kernels: KernelDevice
  readonly info: GPUAdapterInfo
  /** What a person should read. */
  readonly description: string
  readonly software: boolean
  readonly runtime: string
  readonly clock: Clock
}

/** Takes about a second. */
export async function measureAdapter({ kernels, info, description, software, runtime, clock }: AdapterRequest): Promise<SuiteAdapter> {
  const { features, limits } = kernels.device
  const { maxBufferSize, maxStorageBufferBindingSize, maxComputeInvocationsPerWorkgroup, maxComputeWorkgroupStorageSize } = limits
  return {
    description,
    vendor: info.vendor,
    architecture: info.architecture,
    software,
    runtime,
    features: FEATURES.filter((name) => features.has(name)),
    limits: { maxBufferSize, maxStorageBufferBindingSize, maxComputeInvocationsPerWorkgroup, maxComputeWorkgroupStorageSize },
    ...(await measureRoofline(kernels, clock, software)),
  }
}
