/**
 * Tuning: what depends on the adapter. Software adapters (SwiftShader, lavapipe) compute a workgroup on one CPU core: there a
 * few invocations with many registers win, and lanes that share a sum only cost barriers. `lanes` changes the order of sums and is
 * part of the numeric class; tiles are not.
 */

import type { KvType, MatmulVariant } from '../../kernels/index.ts'

export interface Tuning {
  /** Invocations that share the sum of one output in decode. */
  readonly lanes: number
  readonly matmul: MatmulVariant
  /** Query vectors of one workgroup of prompt attention. */
  readonly promptTile: number
}

const SOFTWARE = /swiftshader|llvmpipe|lavapipe|warp|microsoft basic render/i

/** Whether the adapter is a program on the CPU. `isFallbackAdapter` says so in newer browsers; the names cover the others and Dawn. */
export function isSoftwareAdapter({ isFallbackAdapter, vendor, architecture, device, description }: GPUAdapterInfo): boolean {
  return isFallbackAdapter || SOFTWARE.test(`${vendor} ${architecture} ${device} ${description}`)
}

export function tuningFor(info: GPUAdapterInfo): Tuning {
  if (!isSoftwareAdapter(info)) return { lanes: 8, matmul: { tile: 8, lanes: 4 }, promptTile: 8 }
  // 16 rows are 10 % faster on SwiftShader (1.0 and 0.9 GMAC/s a core), but take twice as long to compile, 0.5 s.
  return { lanes: 1, matmul: { tile: 8, lanes: 1 }, promptTile: 8 }
}

/** f16 where the adapter computes with it, unless told otherwise. */
export function kvTypeFor(device: GPUDevice, wanted: KvType | undefined): KvType {
  return wanted ?? (device.features.has('shader-f16') ? 'f16' : 'f32')
}
