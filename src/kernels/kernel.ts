/**
 * Kernel: what every kernel's module declares, and KernelDevice, which turns it into pipelines and bind groups. A kernel knows
 * its shader, its bindings and their order, how its shape is written into its uniform, and its grid; it knows no model.
 */

import { assert, required } from '../shared/index.ts'
import { type Defines, type ShaderLibrary, shaderText } from './shaderText.ts'
import { WORK_BYTES, WORK_STRIDE_BYTES } from './work.ts'

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

/** The work that a dispatch reads: the bind group over the uploaded rows, and which entry. */
export interface WorkBinding {
  readonly group: GPUBindGroup
  readonly index: number
}

/** One dispatch, bound at load; a pass only says how much there is to do. `work` is read by kernels that use it. */
export type Dispatch<Extent> = (pass: GPUComputePassEncoder, extent: Extent, work: WorkBinding | null) => void

export class KernelDevice {
  readonly device: GPUDevice
  readonly workLayout: GPUBindGroupLayout
  readonly #shaders: ShaderLibrary
  readonly #layouts = new Map<string, GPUBindGroupLayout>()
  readonly #uniforms = new Map<string, GPUBuffer>()
  readonly #pipelines = new Map<string, Promise<GPUComputePipeline>>()
  /** Those that are compiled. */
  readonly #ready = new Map<string, GPUComputePipeline>()
  #dispatchCount = 0

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
        { binding: 0, visibility: GPUShaderStage.COMPUTE, buffer: { type: 'uniform', hasDynamicOffset: true, minBindingSize: WORK_BYTES } },
        readOnly(1),
        readOnly(2),
        readOnly(3),
      ],
    })
  }

  /** Dispatches that were encoded so far. */
  get dispatchCount(): number {
    return this.#dispatchCount
  }

  /** Compiled once for each variant, off this thread; rejects when the device refuses the shader. */
  pipeline<Variant, Shape, Extent>(kernel: Kernel<Variant, Shape, Extent>, variant: Variant): Promise<GPUComputePipeline> {
    const key = pipelineKey(kernel, variant)
    const known = this.#pipelines.get(key)
    if (known !== undefined) return known
    const pipeline = this.device.createComputePipelineAsync(this.#descriptor(kernel, variant)).then((compiled) => {
      this.#ready.set(key, compiled)
      return compiled
    })
    this.#pipelines.set(key, pipeline)
    return pipeline
  }

  /** Binds `buffers` (in the order of the kernel's bindings, without the uniform) once, for many dispatches. */
  async prepare<Variant, Shape, Extent>(
    kernel: Kernel<Variant, Shape, Extent>,
    variant: Variant,
    shape: Shape,
    buffers: readonly GPUBuffer[],
  ): Promise<Dispatch<Extent>> {
    const pipeline = await this.pipeline(kernel, variant)
    return this.#dispatch(kernel, shape, buffers, () => pipeline)
  }

  /** The same for a variant that may never be needed: compiled when it is first used, which may take a second, unless `pipeline` was before. */
  prepareLazily<Variant, Shape, Extent>(
    kernel: Kernel<Variant, Shape, Extent>,
    variant: Variant,
    shape: Shape,
    buffers: readonly GPUBuffer[],
  ): Dispatch<Extent> {
    const key = pipelineKey(kernel, variant)
    return this.#dispatch(kernel, shape, buffers, () => {
      const known = this.#ready.get(key)
      if (known !== undefined) return known
      const pipeline = this.device.createComputePipeline(this.#descriptor(kernel, variant))
      this.#ready.set(key, pipeline)
      return pipeline
    })
  }

  #dispatch<Variant, Shape, Extent>(
    kernel: Kernel<Variant, Shape, Extent>,
    shape: Shape,
    buffers: readonly GPUBuffer[],
    pipeline: () => GPUComputePipeline,
  ): Dispatch<Extent> {
    assert(
      buffers.length === kernel.bindings.length - 1,
      `kernel ${kernel.name} takes ${kernel.bindings.length - 1} buffers, not ${buffers.length}`,
    )
    const group = this.device.createBindGroup({
      label: kernel.name,
      layout: this.#layout(kernel.bindings),
      entries: [...buffers, this.#uniform(kernel.name, kernel.uniform(shape))].map((buffer, binding) => ({
        binding,
        resource: { buffer },
      })),
    })
    return (pass, extent, work) => {
      pass.setPipeline(pipeline())
      pass.setBindGroup(0, group)
      if (kernel.usesWork) {
        const binding = required(work, `the work of kernel ${kernel.name}`)
        pass.setBindGroup(1, binding.group, [binding.index * WORK_STRIDE_BYTES])
      }
      pass.dispatchWorkgroups(...kernel.grid(shape, extent))
      this.#dispatchCount++
    }
  }

  /** Group 1 of every kernel that uses work: see work.wgsl. */
  workGroup(works: GPUBuffer, rows: GPUBuffer, tables: GPUBuffer, angles: GPUBuffer): GPUBindGroup {
    const resources = [{ buffer: works, size: WORK_BYTES }, { buffer: rows }, { buffer: tables }, { buffer: angles }]
    const entries = resources.map((resource, binding) => ({ binding, resource }))
    return this.device.createBindGroup({ label: 'work', layout: this.workLayout, entries })
  }

  /** Destroys the uniforms of everything that was prepared; pipelines stay. */
  release(): void {
    for (const buffer of this.#uniforms.values()) buffer.destroy()
    this.#uniforms.clear()
  }

  /** Equal shapes share a buffer: a model's layers differ only in their weights. */
  #uniform(name: string, words: Uint32Array<ArrayBuffer>): GPUBuffer {
    const key = `${name} ${words.join()}`
    const known = this.#uniforms.get(key)
    if (known !== undefined) return known
    const usage = GPUBufferUsage.UNIFORM | GPUBufferUsage.COPY_DST
    const buffer = this.device.createBuffer({ label: key, size: words.byteLength, usage })
    this.device.queue.writeBuffer(buffer, 0, words)
    this.#uniforms.set(key, buffer)
    return buffer
  }

  #descriptor<Variant, Shape, Extent>(kernel: Kernel<Variant, Shape, Extent>, variant: Variant): GPUComputePipelineDescriptor {
    const module = this.device.createShaderModule({
      label: kernel.name,
      code: shaderText(this.#shaders, kernel.name, kernel.defines(variant)),
    })
    const bindGroupLayouts = [this.#layout(kernel.bindings), ...(kernel.usesWork ? [this.workLayout] : [])]
    const layout = this.device.createPipelineLayout({ bindGroupLayouts })
    return { label: pipelineKey(kernel, variant), layout, compute: { module, entryPoint: 'main' } }
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

function pipelineKey<Variant, Shape, Extent>(kernel: Kernel<Variant, Shape, Extent>, variant: Variant): string {
  return `${kernel.name} ${JSON.stringify(kernel.defines(variant))}`
}
