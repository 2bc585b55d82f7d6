/**
 * The web app over HTTP: the built files, the pages' addresses, and the headers that keep strangers' code out of them. A page's
 * address gets index.html, an unknown one gets it with 404 (the app says so), an unknown file gets 404 and nothing else.
 */

import { extname } from 'node:path'
import fastifyStatic from '@fastify/static'
import type { FastifyInstance } from 'fastify'

const PAGES = ['/', '/contribute', '/chat', '/bench', '/account', '/admin', '/reference']

/**
 * Scripts only from here, and WebAssembly; styles also inline, since Mantine sets its variables so. Images of an answer's Markdown
 * would tell their server who reads: none from elsewhere.
 */
const CONTENT_SECURITY_POLICY = [
  "default-src 'none'",
  "script-src 'self' 'wasm-unsafe-eval'",
  "style-src 'self' 'unsafe-inline'",
  "connect-src 'self'",
  "worker-src 'self' blob:",
  "img-src 'self' data: blob:",
  "font-src 'self'",
  "manifest-src 'self'",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
].join('; ')

const HEADERS: Readonly<Record<string, string>> = {
  'content-security-policy': CONTENT_SECURITY_POLICY,
  'cross-origin-opener-policy': 'same-origin',
  'cross-origin-embedder-policy': 'require-corp',
  'cross-origin-resource-policy': 'same-origin',
  'permissions-policy': 'camera=(), microphone=(), geolocation=(), payment=(), usb=(), serial=(), midi=()',
  'referrer-policy': 'no-referrer',
  'x-content-type-options': 'nosniff',
}

/** Vite puts a hash of the content into these files' names. */
const HASHED_ASSET = /[\\/]assets[\\/]/
const YEAR_SECONDS = 31_536_000

export function registerSecurityHeaders(app: FastifyInstance): void {
  app.addHook('onRequest', async (_request, reply) => {
    reply.headers(HEADERS)
  })
}

export async function registerWebApp(app: FastifyInstance, webRoot: string): Promise<void> {
  await app.register(fastifyStatic, {
    root: webRoot,
    index: false,
    dotfiles: 'ignore',
    cacheControl: false,
    setHeaders(response, path) {
      response.setHeader('cache-control', HASHED_ASSET.test(path) ? `public, max-age=${YEAR_SECONDS}, immutable` : 'no-cache')
    },
  })
  for (const page of PAGES) app.get(page, async (_request, reply) => reply.sendFile('index.html'))
  app.setNotFoundHandler(async (request, reply) => {
    const { pathname } = new URL(request.url, 'http://localhost')
    const isPage = request.method === 'GET' && extname(pathname) === '' && request.headers.accept?.includes('text/html') === true
    reply.code(404)
    if (isPage) return reply.sendFile('index.html')
    return { error: { reason: 'not-found', message: 'there is nothing at this address' } }
  })
}
