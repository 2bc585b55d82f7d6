/** Composition root of suite.html: the kernel suite in a tab without a page, for `bench kernels --runtime chromium`. */

import { proxy, wrap } from 'comlink'
import type { SuiteApi, SuiteMessage, SuiteRunRequest } from './kernels/suite/index.ts'

declare global {
  /** What the terminal's end calls through the browser's remote control. */
  var tabswarmSuite:
    | { run(request: SuiteRunRequest, listen: (message: SuiteMessage) => void): ReturnType<SuiteApi['run']>; adapter: SuiteApi['adapter'] }
    | undefined
}

const worker = new Worker(new URL('./worker/suite.worker.ts', import.meta.url), { type: 'module' })
const api = wrap<SuiteApi>(worker)

globalThis.tabswarmSuite = {
  adapter: () => api.adapter(),
  run: (request, listen) => api.run(request, proxy(listen)),
}
