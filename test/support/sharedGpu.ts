/**
 * One device for all engines of a test file. An engine compiles twenty pipelines or more, which takes SwiftShader two to five seconds,
 * and destroys its device in the end. On this one an equal pipeline is compiled once, and destroying it does nothing. Tests of what
 * happens to a device open their own: openNodeGpu.
 */

import { openNodeGpu } from '../../src/node/index.ts'

type NodeGpu = Awaited<ReturnType<typeof openNodeGpu>>
type Limits = NonNullable<NonNullable<Parameters<typeof openNodeGpu>[0]>['limits']>

const opened = new Map<Limits, Promise<NodeGpu>>()

export function sharedGpu(limits: Limits = 'adapter'): Promise<NodeGpu> {
  const known = opened.get(limits)
  if (known !== undefined) return known
  const gpu = openNodeGpu({ limits }).then((own) => ({ ...own, device: shared(own.device) }))
  opened.set(limits, gpu)
  return gpu
}

function shared(device: GPUDevice): GPUDevice {
  // Dawn gives an equal pipeline again as long as somebody holds the first.
  const pipelines: GPUComputePipeline[] = []
  const keep = (pipeline: GPUComputePipeline) => {
    pipelines.push(pipeline)
    return pipeline
  }
  const own: Partial<GPUDevice> = {
    destroy: () => undefined,
    createComputePipeline: (descriptor) => keep(device.createComputePipeline(descriptor)),
    createComputePipelineAsync: async (descriptor) => keep(await device.createComputePipelineAsync(descriptor)),
  }
  return new Proxy(device, {
    get(target, name) {
      const value: unknown = Reflect.get(own, name) ?? Reflect.get(target, name, target)
      return typeof value === 'function' ? value.bind(target) : value
    },
  })
}
