/** The built web app alone, without a coordinator behind it: what a benchmark in a headless tab needs. This machine only. */

import type { AddressInfo } from 'node:net'
import { fastify } from 'fastify'
import { registerSecurityHeaders, registerWebApp } from './webApp.ts'

export interface WebSite {
  readonly url: string
  close(): Promise<void>
}

/** Resolves once it listens, on a free port. */
export async function serveWebSite(webRoot: string): Promise<WebSite> {
  const app = fastify({ forceCloseConnections: true })
  registerSecurityHeaders(app)
  await registerWebApp(app, webRoot)
  await app.listen({ host: '127.0.0.1', port: 0 })
  const { port } = app.server.address() as AddressInfo
  return { url: `http://127.0.0.1:${port}/`, close: async () => void (await app.close()) }
}
