/** `tabswarm bench …`: measures what the README and docs/benchmarks claim. */

import type { Command } from 'commander'
import { registerBenchApi } from './benchApi.ts'
import { registerBenchEngine } from './benchEngine.ts'
import { registerBenchKernels } from './benchKernels.ts'
import { registerBenchLedger } from './benchLedger.ts'
import { registerBenchPeers } from './benchPeers.ts'
import { registerBenchSpeculation } from './benchSpeculation.ts'
import { registerBenchSwarm } from './benchSwarm.ts'
import { registerBenchTolerance } from './benchTolerance.ts'
import { registerToleranceEngine } from './toleranceEngine.ts'

export function registerBenchCommands(program: Command): void {
  const bench = program.command('bench').description('measure how fast this machine computes')
  registerBenchApi(bench)
  registerBenchEngine(bench)
  registerBenchKernels(bench)
  registerBenchLedger(bench)
  registerBenchPeers(bench)
  registerBenchSpeculation(bench)
  registerBenchSwarm(bench)
  registerBenchTolerance(bench)
  registerToleranceEngine(bench)
}
