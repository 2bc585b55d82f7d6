/** The buffers of one case, freed together; refuses what the device cannot hold before it fails in some other way. */

import { SuiteError } from './cases.ts'

export class GpuBuffers {
  readonly #device: GPUDevice
  readonly #buffers: GPUBuffer[] = []

  constructor(device: GPUDevice) {
    this.#device = device
  }

  /** A storage buffer of whole words, filled with `words` or zeros. Throws `does-not-fit`. */
  storage(label: string, content: number | Uint32Array<ArrayBuffer> | Float32Array<ArrayBuffer>): GPUBuffer {
    const { maxBufferSize, maxStorageBufferBindingSize } = this.#device.limits
    const bytes = typeof content === 'number' ? content : content.byteLength
    const bytesMax = Math.min(maxBufferSize, maxStorageBufferBindingSize)
    if (bytes > bytesMax)
      throw new SuiteError('does-not-fit', `${label} take ${megabytes(bytes)} MB; this adapter binds ${megabytes(bytesMax)} MB at most`)
    const usage = GPUBufferUsage.STORAGE | GPUBufferUsage.COPY_DST | GPUBufferUsage.COPY_SRC
    return this.#make({ label, size: Math.max(16, 4 * Math.ceil(bytes / 4)), usage }, typeof content === 'number' ? null : content)
  }

  uniform(label: string, words: Uint32Array<ArrayBuffer>): GPUBuffer {
    return this.#make({ label, size: words.byteLength, usage: GPUBufferUsage.UNIFORM | GPUBufferUsage.COPY_DST }, words)
  }

  destroy(): void {
    for (const buffer of this.#buffers) buffer.destroy()
    this.#buffers.length = 0
  }

  #make(descriptor: GPUBufferDescriptor, content: Uint32Array<ArrayBuffer> | Float32Array<ArrayBuffer> | null): GPUBuffer {
    const buffer = this.#device.createBuffer(descriptor)
    this.#buffers.push(buffer)
    if (content !== null) this.#device.queue.writeBuffer(buffer, 0, content)
    return buffer
  }
}

function megabytes(bytes: number): string {
  return (bytes / 1e6).toFixed(0)
}
