/**
 * Tuning: what depends on the adapter. Software adapters (SwiftShader, lavapipe) compute a workgroup on one CPU core: there a
 * few invocations with many registers win, and lanes that share a sum only cost barriers. `lanes` changes the order of sums and is
 * part of the numeric class; tiles are not.
 */

import { defaultForm, formsFor, type KvType, type MatmulForm, type MatvecTuning } from '../../kernels/index.ts'

export interface Tuning {
  /** Invocations that share the sum of one output in decode. */
  readonly lanes: number
  /** How decode's outputs are spread over invocations. */
  readonly matvec: MatvecTuning
  readonly matmul: MatmulForm
  /** Query vectors of one workgroup of prompt attention. */
  readonly promptTile: number
}

const SOFTWARE = /swiftshader|llvmpipe|lavapipe|warp|microsoft basic render/i

/** Whether the adapter is a program on the CPU. `isFallbackAdapter` says so in newer browsers; the names cover the others and Dawn. */
export function isSoftwareAdapter({ isFallbackAdapter, vendor, architecture, device, description }: GPUAdapterInfo): boolean {
  return isFallbackAdapter || SOFTWARE.test(`${vendor} ${architecture} ${device} ${description}`)
}

/** `features`: the device's, where forms that need some may be chosen. */
export function tuningFor(info: GPUAdapterInfo, features?: GPUSupportedFeatures): Tuning {
  if (!isSoftwareAdapter(info)) return { lanes: 8, matvec: { single: defaultForm, group: defaultForm }, matmul: 'tile', promptTile: 8 }
  const subgroups = features?.has('subgroups') ?? false
  const forms = formsFor({ subgroups, subgroupMinSize: info.subgroupMinSize ?? 0 }, 1)
  const [single = defaultForm] = forms
  // Where few invocations load for each other, each had better have more outputs for what is loaded of several rows.
  const group = single.subgroup === 4 ? (forms.find(({ outputs }) => outputs === 8) ?? single) : single
  return { lanes: 1, matvec: { single, group }, matmul: 'broadcast', promptTile: 4 }
}

/** f16 where the adapter computes with it, unless told otherwise. */
export function kvTypeFor(device: GPUDevice, wanted: KvType | undefined): KvType {
  return wanted ?? (device.features.has('shader-f16') ? 'f16' : 'f32')
}
