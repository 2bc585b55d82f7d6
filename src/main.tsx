/** The page's composition root: real sockets, clock, randomness and worker for one peer runtime, and the pages that show it. */

import { proxy, wrap } from 'comlink'
import { StrictMode } from 'react'
import { createRoot } from 'react-dom/client'
import { BrowserAccount, memoryVault, openAccountVault } from './account/index.ts'
import type { SuiteApi } from './kernels/suite/index.ts'
import { openHeadVault, watchHost } from './peer/browser/index.ts'
import { createPeerRuntime, type DraftWorkerApi, type EngineWorkerApi } from './peer/index.ts'
import { required, TabswarmError } from './shared/index.ts'
import { App, type AppProps } from './ui/app.tsx'
import { KERNEL_VERSION } from './worker/index.ts'

/** Insecure pages have no WebCrypto: whoever needs a key is told so, and where to go. */
const noCrypto = new Proxy({} as SubtleCrypto, {
  get: () => async () => {
    const secure = `https://${location.host}${location.pathname}`
    throw new TabswarmError(
      'insecure-context',
      `browsers allow keys and WebGPU on secure addresses only: open ${secure} (the coordinator has to be started with --https), or localhost on its own machine`,
    )
  },
})

const randomBytes = (count: number) => crypto.getRandomValues(new Uint8Array(count))
const { subtle } = isSecureContext ? crypto : { subtle: noCrypto }

/** Where the browser keeps nothing for this page, an account of this tab alone; null where it has no keys. */
const account = BrowserAccount.open(openAccountVault(), { subtle, randomBytes })
  .catch(() => BrowserAccount.open(memoryVault(), { subtle, randomBytes }))
  .catch(() => null)

/** The worker knows its part, and whether kernels are timed, by its name: before any message. */
function startEngineWorker<Api>(role: 'engine' | 'draft') {
  const name = `tabswarm-${role}${new URLSearchParams(location.search).get('tune') === 'off' ? ' tune=off' : ''}`
  const worker = new Worker(new URL('./worker/engine.worker.ts', import.meta.url), { type: 'module', name })
  return { api: wrap<Api>(worker), terminate: () => worker.terminate() }
}

const runtime = createPeerRuntime({
  origin: location.origin,
  openSocket: (url) => new WebSocket(url),
  clock: {
    nowMs: () => performance.timeOrigin + performance.now(),
    after(delayMs, callback) {
      const timer = setTimeout(callback, delayMs)
      return () => clearTimeout(timer)
    },
  },
  random: Math.random,
  randomBytes,
  subtle,
  account,
  heads: openHeadVault(),
  fetch: (url, init) => fetch(url, init),
  storage: navigator.storage,
  startWorker: () => startEngineWorker<EngineWorkerApi>('engine'),
  startDraftWorker: () => startEngineWorker<DraftWorkerApi>('draft'),
  watchHost,
})
globalThis.tabswarm = runtime

/** The kernel suite, in a worker of its own for each run. */
const bench: AppProps['bench'] = {
  obstacle: isSecureContext ? ((navigator.gpu as GPU | undefined) === undefined ? 'no-webgpu' : null) : 'insecure',
  kernelVersion: KERNEL_VERSION,
  nowMs: () => performance.now(),
  after: (delayMs, callback) => void setTimeout(callback, delayMs),
  startSuite() {
    const worker = new Worker(new URL('./worker/suite.worker.ts', import.meta.url), { type: 'module', name: 'tabswarm-suite' })
    const suite = wrap<SuiteApi>(worker)
    return {
      api: { adapter: () => suite.adapter(), run: (request, listen) => suite.run(request, proxy(listen)), cancel: () => suite.cancel() },
      terminate: () => worker.terminate(),
    }
  },
}

// The coordinator hears of the end at once instead of by silence; a page that comes back from the cache begins anew.
addEventListener('pagehide', () => runtime.dispose())
addEventListener('pageshow', (event) => {
  if (event.persisted) location.reload()
})

createRoot(required(document.getElementById('root'), 'the element #root')).render(
  <StrictMode>
    <App runtime={runtime} bench={bench} />
  </StrictMode>,
)
