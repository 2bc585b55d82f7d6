/**
 * Kernel: what every kernel's module declares, and KernelDevice, which turns it into pipelines and bind groups. A kernel knows
 * its shader, its bindings and their order, how its shape is written into its uniform, and its grid; it knows no model.
 */

import { assert } from '../shared/index.ts'
import { type Defines, type ShaderLibrary, shaderText } from './shaderText.ts'

/** `read`, `write`: storage buffers. The uniform, always last, holds the kernel's shape. */
export type Binding = 'read' | 'write' | 'uniform'

/** Workgroups in x, y, z; each at most GRID_MAX. */
export type Grid = readonly [number, number, number]

/** WebGPU's guaranteed `maxComputeWorkgroupsPerDimension`. */
export const GRID_MAX = 65_535

export interface Kernel<Variant, Shape, Extent> {
  /** Also the shader's name. */
  readonly name: string
  readonly bindings: readonly Binding[]
  /** Whether the shader includes work.wgsl. */
  readonly usesWork: boolean
  /** Bound of the normalized mean squared error against the f64 reference; tests hold the kernel to it. */
  readonly nmseMax: number
  /** What is chosen when the pipeline is built. */
  defines(variant: Variant): Defines
  /** The uniform's words; asserts that the shape can be computed. */
  uniform(shape: Shape): Uint32Array<ArrayBuffer>
  grid(shape: Shape, extent: Extent): Grid
}

/** Checks at the declaration what would otherwise fail far away. */
export function defineKernel<Variant, Shape, Extent>(kernel: Kernel<Variant, Shape, Extent>): Kernel<Variant, Shape, Extent> {
  assert(kernel.bindings.at(-1) === 'uniform', `kernel ${kernel.name}: the last binding is the uniform`)
  const storageCount = kernel.bindings.length - 1 + (kernel.usesWork ? 3 : 0)
  assert(storageCount <= 8, `kernel ${kernel.name}: ${storageCount} storage buffers; every adapter has 8`)
  return kernel
}

/** `count` workgroups over x and y, for counts beyond one axis; the shader drops the surplus. */
export function foldGrid(count: number): Grid {
  assert(count > 0 && count <= GRID_MAX * GRID_MAX, `${count} workgroups`)
  const y = Math.ceil(count / GRID_MAX)
  return [Math.ceil(count / y), y, 1]
}

/** f32 as the word that a uniform of mixed types holds. */
export function floatBits(value: number): number {
  return new Uint32Array(Float32Array.of(value).buffer)[0] ?? 0
}

/** One dispatch without its grid: prepared once, encoded in every pass. */
export interface Prepared<Shape, Extent> {
  readonly kernel: Kernel<never, Shape, Extent>
  readonly pipeline: GPUComputePipeline
  readonly group: GPUBindGroup
  readonly shape: Shape
}

export class KernelDevice {
  readonly device: GPUDevice
  readonly workLayout: GPUBindGroupLayout
  readonly #shaders: ShaderLibrary
  readonly #layouts = new Map<string, GPUBindGroupLayout>()
  readonly #pipelines = new Map<string, Promise<GPUComputePipeline>>()

  constructor(device: GPUDevice, shaders: ShaderLibrary) {
    this.device = device
    this.#shaders = shaders
    const readOnly = (binding: number): GPUBindGroupLayoutEntry => ({
      binding,
      visibility: GPUShaderStage.COMPUTE,
      buffer: { type: 'read-only-storage' },
    })
    this.workLayout = device.createBindGroupLayout({
      entries: [
        { binding: 0, visibility: GPUShaderStage.COMPUTE, buffer: { type: 'uniform', hasDynamicOffset: true, minBindingSize: 64 } },
        readOnly(1),
        readOnly(2),
        readOnly(3),
      ],
    })
  }

  /** Compiled once for each variant; rejects when the device refuses the shader. */
  pipeline<Variant, Shape, Extent>(kernel: Kernel<Variant, Shape, Extent>, variant: Variant): Promise<GPUComputePipeline> {
    const defines = kernel.defines(variant)
    const key = `${kernel.name} ${JSON.stringify(defines)}`
    const known = this.#pipelines.get(key)
    if (known !== undefined) return known
    const module = this.device.createShaderModule({ label: kernel.name, code: shaderText(this.#shaders, kernel.name, defines) })
    const bindGroupLayouts = [this.#layout(kernel.bindings), ...(kernel.usesWork ? [this.workLayout] : [])]
    const pipeline = this.device.createComputePipelineAsync({
      label: key,
      layout: this.device.createPipelineLayout({ bindGroupLayouts }),
      compute: { module, entryPoint: 'main' },
    })
    this.#pipelines.set(key, pipeline)
    return pipeline
  }

  /** A bind group over `buffers`, in the order of the kernel's bindings. */
  group<Variant, Shape, Extent>(kernel: Kernel<Variant, Shape, Extent>, buffers: readonly GPUBuffer[]): GPUBindGroup {
    assert(
      buffers.length === kernel.bindings.length,
      `kernel ${kernel.name} takes ${kernel.bindings.length} buffers, not ${buffers.length}`,
    )
    return this.device.createBindGroup({
      label: kernel.name,
      layout: this.#layout(kernel.bindings),
      entries: buffers.map((buffer, binding) => ({ binding, resource: { buffer } })),
    })
  }

  /** A new buffer that holds the kernel's uniform. */
  uniform<Variant, Shape, Extent>(kernel: Kernel<Variant, Shape, Extent>, shape: Shape): GPUBuffer {
    const words = kernel.uniform(shape)
    const buffer = this.device.createBuffer({
      label: `${kernel.name} shape`,
      size: words.byteLength,
      usage: GPUBufferUsage.UNIFORM | GPUBufferUsage.COPY_DST,
    })
    this.device.queue.writeBuffer(buffer, 0, words)
    return buffer
  }

  #layout(bindings: readonly Binding[]): GPUBindGroupLayout {
    const key = bindings.join()
    const known = this.#layouts.get(key)
    if (known !== undefined) return known
    const types = { read: 'read-only-storage', write: 'storage', uniform: 'uniform' } as const
    const layout = this.device.createBindGroupLayout({
      entries: bindings.map((kind, binding) => ({ binding, visibility: GPUShaderStage.COMPUTE, buffer: { type: types[kind] } })),
    })
    this.#layouts.set(key, layout)
    return layout
  }
}
