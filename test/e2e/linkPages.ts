/** Pages of webrtcLinkPage.ts in real Chromium, and the signalling server between them: nothing else of the product. */

import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { fileURLToPath } from 'node:url'
import type { Page } from 'playwright-core'
import { build } from 'vite'
import { SIGNAL_PATH, SignalServer } from '../../src/coordinator/server/signalServer.ts'
import type { SignallingServer } from '../../src/network/webrtc/signaller.ts'
import { latencyOf, launchChromium, nodeClock } from '../../src/node/index.ts'
import type { PeerId } from '../../src/shared/index.ts'

const PAGE = fileURLToPath(new URL('./webrtcLinkPage.ts', import.meta.url))
const TOKEN = 'token'

export interface LinkPages {
  readonly signalling: SignallingServer
  /** What the pages asked of other hosts, and threw. */
  readonly foreign: readonly string[]
  /** In a context of its own. `latencyMs` is added to every packet at each end, each way. */
  openPage(latencyMs?: number): Promise<Page>
  close(): Promise<void>
}

export async function openLinkPages(): Promise<LinkPages> {
  const signals = new SignalServer(nodeClock)
  const server = createPageServer(await bundlePage(), signals)
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  const signalling = { host: '127.0.0.1', port, path: SIGNAL_PATH, secure: false, token: TOKEN }
  const browser = await launchChromium()
  const foreign: string[] = []
  const watch = (url: string) => {
    const { hostname, port: other } = new URL(url)
    if (hostname !== '127.0.0.1' || Number(other) !== port) foreign.push(url)
  }
  return {
    signalling,
    foreign,
    async openPage(latencyMs = 0) {
      const context = await browser.newContext()
      const page = await context.newPage()
      if (latencyMs > 0) await (await latencyOf(page))(latencyMs)
      // Nobody has a control socket here: each peer is let in when it says its id.
      await page.exposeFunction('allowPeer', (peerId: PeerId) => signals.allow(peerId, TOKEN))
      page.on('request', (request) => watch(request.url()))
      page.on('websocket', (socket) => watch(socket.url()))
      page.on('pageerror', (error) => foreign.push(`uncaught in the page: ${error.message}`))
      await page.goto(`http://127.0.0.1:${port}/`)
      await page.waitForFunction(() => globalThis.linkTest !== undefined)
      return page
    },
    async close() {
      await browser.close()
      signals.close()
      server.close()
      server.closeAllConnections()
    },
  }
}

/** The page's script, its worker's, and their chunks, by name. */
async function bundlePage(): Promise<Map<string, string>> {
  const result = await build({
    configFile: false,
    logLevel: 'error',
    build: {
      write: false,
      minify: false,
      modulePreload: false,
      target: 'es2023',
      rolldownOptions: { input: PAGE, output: { entryFileNames: 'page.js' } },
    },
    worker: { format: 'es' },
  })
  const [output] = [result].flat()
  if (output === undefined || !('output' in output)) throw new Error('vite built nothing')
  return new Map(output.output.map((file) => [`/${file.fileName}`, String(file.type === 'chunk' ? file.code : file.source)]))
}

function createPageServer(files: ReadonlyMap<string, string>, signals: SignalServer): Server {
  const pages = createServer((request, response) => {
    const code = files.get(request.url ?? '')
    response.setHeader('content-type', code === undefined ? 'text/html' : 'text/javascript')
    response.end(code ?? '<!doctype html><script type="module" src="/page.js"></script>')
  })
  pages.on('upgrade', (request, socket, head) => {
    if (signals.upgrade(request, socket, head) !== null) socket.destroy()
  })
  return pages
}
