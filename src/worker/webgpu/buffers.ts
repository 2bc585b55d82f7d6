/** Buffers of a loaded span beside its weights: the KV cache of each layer and the scratch of a pass. All are made once, at load. */

import { KV_BLOCK, type KvType, kvBlockBytes } from '../../kernels/index.ts'
import type { ModelConfig, Span } from '../../model/index.ts'
import { assert } from '../../shared/index.ts'
import { KV_BLOCK_POSITIONS } from '../kvBlocks.ts'
import type { ScratchSizes } from './memory.ts'

assert(KV_BLOCK === KV_BLOCK_POSITIONS, 'the shaders and the allocator agree on the size of a KV block')

export type Scratch = { readonly [Name in keyof ScratchSizes]: GPUBuffer }

export function allocateScratch(device: GPUDevice, sizes: ScratchSizes): Scratch {
  const storage = GPUBufferUsage.STORAGE | GPUBufferUsage.COPY_DST | GPUBufferUsage.COPY_SRC
  const buffer = (label: keyof ScratchSizes, usage = storage) => device.createBuffer({ label, size: sizes[label], usage })
  return {
    residual: buffer('residual'),
    hidden: buffer('hidden'),
    qkv: buffer('qkv'),
    attention: buffer('attention'),
    gateUp: buffer('gateUp'),
    activated: buffer('activated'),
    routerLogits: buffer('routerLogits'),
    routes: buffer('routes'),
    expertOutputs: buffer('expertOutputs'),
    partials: buffer('partials'),
    headHidden: buffer('headHidden'),
    logits: buffer('logits'),
    input: buffer('input'),
    output: buffer('output'),
    flags: buffer('flags'),
    readback: buffer('readback', GPUBufferUsage.MAP_READ | GPUBufferUsage.COPY_DST),
    works: buffer('works', GPUBufferUsage.UNIFORM | GPUBufferUsage.COPY_DST),
    rows: buffer('rows'),
    tables: buffer('tables'),
    angles: buffer('angles'),
  }
}

export interface LayerKv {
  readonly keys: GPUBuffer
  readonly values: GPUBuffer
}

/** KV cache of each layer: `blocks` blocks of keys and as many of values. */
export function allocateKv(device: GPUDevice, config: ModelConfig, span: Span, kvType: KvType, blocks: number): LayerKv[] {
  const size = Math.max(1, blocks) * kvBlockBytes(kvType, config.kvHeadCount, config.headSize)
  const buffer = (label: string) => device.createBuffer({ label, size, usage: GPUBufferUsage.STORAGE })
  return Array.from({ length: span.endLayer - span.firstLayer }, (_, index) => ({
    keys: buffer(`keys of layer ${span.firstLayer + index}`),
    values: buffer(`values of layer ${span.firstLayer + index}`),
  }))
}
