/** The kernel suite on Dawn in this process, which `reexecWithGpu` has given the adapter's driver. */

import { KernelDevice } from '../kernels/index.ts'
import { measureAdapter, ortBaseline, runSuite } from '../kernels/suite/index.ts'
import { nodeClock, openNodeGpu, openOnnxRuntime, readShader } from '../node/index.ts'
import { tuningFor } from '../worker/index.ts'
import type { TerminalRun } from './benchRun.ts'
import { printNote } from './output.ts'

export async function runInNode({ compare, casesFor, listen, onProgress }: TerminalRun): Promise<void> {
  const runtime = compare ? await openOnnxRuntime(printNote) : null
  const { device, info, description, software } = await openNodeGpu()
  try {
    const kernels = new KernelDevice(device, readShader)
    const adapter = await measureAdapter({
      kernels,
      info,
      description,
      software,
      runtime: `node ${process.versions.node}`,
      clock: nodeClock,
    })
    listen({ kind: 'adapter', adapter })
    const events = runSuite({
      kernels,
      adapter,
      tuning: tuningFor(info, device.features),
      cases: casesFor(adapter),
      baseline: runtime === null ? null : ortBaseline(runtime, nodeClock),
      clock: nodeClock,
      signal: new AbortController().signal,
      onProgress,
    })
    for await (const event of events) listen(event)
  } finally {
    device.destroy()
  }
}
