/** Composition root of the auditor's process: computes what it is told to, and ends. It ends with the coordinator, too. */

import { sha256Of } from '../network/index.ts'
import { openSimdHost } from '../node/wasm/index.ts'
import type { Clock } from '../shared/index.ts'
import { createCpuEngine, createSimdProcessor } from '../worker/index.ts'
import { type Replay, replay } from './replay.ts'

const clock: Clock = {
  nowMs: () => performance.timeOrigin + performance.now(),
  after(delayMs, callback) {
    const timer = setTimeout(callback, delayMs)
    return () => clearTimeout(timer)
  },
}
const nowMs = () => clock.nowMs()

process.on('disconnect', () => process.exit())
// The coordinator's matter: it ends its auditor.
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => undefined)
process.on('message', (told: Replay) => {
  const ports = {
    // One thread: the coordinator's requests come first.
    openEngine: async (arithmetic: Replay['arithmetic']) =>
      arithmetic === 'reference'
        ? createCpuEngine({ nowMs })
        : createCpuEngine({ processor: createSimdProcessor(await openSimdHost(1)), nowMs }),
    fetch,
    clock,
    sha256: sha256Of(crypto.subtle),
  }
  void replay(told, ports).then(() => process.exit())
})
