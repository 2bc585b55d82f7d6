/** Every state of the Benchmark page, by name, played by a scripted worker as soon as the page has started one. */

import { runToJson, type SuiteAdapter, type SuiteCase } from '../../src/kernels/suite/index.ts'
import { FAKE_ADAPTER, FakeBenchHost, fakeResult, fakeRun, type ScriptedSuite } from '../../src/ui/testing/fakeBench.ts'

const SOFTWARE: SuiteAdapter = {
  ...FAKE_ADAPTER,
  description: 'SwiftShader Device (Subzero)',
  vendor: 'google',
  architecture: 'swiftshader',
  software: true,
  features: ['subgroups'],
  copyGbPerSecond: 6.2,
  multiplyAddGflops: 9.1,
}

type Play = (suite: ScriptedSuite) => void

const part = (entry: SuiteCase, at: number) => (entry.kernel === 'matvec' ? 0.6 : entry.kernel === 'matmul' ? 0.4 : 0.5) + 0.04 * (at % 7)

const measure =
  (adapter: SuiteAdapter, count: number, ratio: (at: number) => number | null): Play =>
  ({ request, say }) => {
    say({ kind: 'adapter', adapter })
    for (const [at, entry] of request.cases.slice(0, count).entries()) {
      const result = fakeResult(entry, part(entry, at), ratio(at), adapter)
      say({
        kind: 'measured',
        result: request.baseline === null ? { ...result, baseline: null, baselineReason: null, ratio: null, ratioQuartiles: null } : result,
      })
    }
  }
const ratios = (at: number) => (at % 5 === 4 ? null : 0.8 + 0.45 * (at % 6))
const none = () => null
const done: Play = ({ resolve }) => resolve({ ok: true, value: 'done' })

const plays: Readonly<Record<string, readonly Play[]>> = {
  'bench-running': [
    measure(FAKE_ADAPTER, 4, ratios),
    ({ request, say }) =>
      say({ kind: 'progress', progress: { caseIndex: 4, caseCount: request.cases.length, phase: 'timing', part: 0.4 } }),
  ],
  'bench-done': [measure(SOFTWARE, 100, none), done],
  'bench-ort': [measure(FAKE_ADAPTER, 100, ratios), done],
  'bench-cancelled': [measure(FAKE_ADAPTER, 3, none), ({ resolve }) => resolve({ ok: true, value: 'cancelled' })],
  'bench-failed': [
    measure(FAKE_ADAPTER, 6, ratios),
    ({ request, say }) =>
      say({
        kind: 'failed',
        failure: {
          ...(request.cases[6] as SuiteCase),
          error: {
            reason: 'wrong-result',
            message: 'the result is off by an NMSE of 3.1e-2 where 1e-6 is allowed; report the adapter and driver',
          },
        },
      }),
    done,
  ],
  'bench-no-adapter': [
    ({ resolve }) =>
      resolve({
        ok: false,
        error: {
          reason: 'no-adapter',
          message: 'the browser found no GPU that it may use; update the graphics driver, or switch hardware acceleration on',
        },
      }),
  ],
}

/** A file as an earlier run would have left it, for the pages that open one. */
export const savedRun = (): string => runToJson(fakeRun(undefined, 0.8))

export function benchHost(name: string): FakeBenchHost {
  const host = new FakeBenchHost(name === 'bench-no-webgpu' ? 'no-webgpu' : null)
  const play = plays[name === 'bench-compared' ? 'bench-done' : name] ?? []
  const start = host.startSuite
  host.startSuite = () => {
    const worker = start()
    setTimeout(() => {
      const suite = host.suites.at(-1)
      if (suite === undefined) return
      for (const step of play) step(suite)
      setTimeout(() => host.advance(1_000), 20)
    }, 20)
    return worker
  }
  return host
}
