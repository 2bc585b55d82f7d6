/** Routes for who runs the coordinator: whether it lives, whether it may be sent work, and its metrics. */

import { createHash, timingSafeEqual } from 'node:crypto'
import { isIP } from 'node:net'
import type { FastifyInstance, FastifyRequest } from 'fastify'
import type { Metrics } from './metrics.ts'

export interface OperationsOptions {
  readonly metrics: Metrics
  /** Whether it takes requests: its store is open, and it is not about to end. */
  readonly isReady: () => boolean
  /** Who says it may read the metrics from anywhere; null: nobody may but programs on the same machine. */
  readonly metricsToken: string | null
}

export function registerOperations(app: FastifyInstance, { metrics, isReady, metricsToken }: OperationsOptions): void {
  app.get('/healthz', async (_request, reply) => reply.header('cache-control', 'no-store').send({ status: 'ok' }))
  app.get('/readyz', async (_request, reply) => {
    reply.header('cache-control', 'no-store')
    return isReady() ? reply.send({ status: 'ready' }) : reply.code(503).header('retry-after', '5').send({ status: 'not ready' })
  })
  app.get('/metrics', async (request, reply) => {
    reply.header('cache-control', 'no-store')
    if (mayRead(request, metricsToken)) return reply.type(metrics.contentType).send(await metrics.render())
    const message =
      metricsToken === null
        ? 'metrics are for programs on the same machine; start the coordinator with TABSWARM_METRICS_TOKEN to read them from elsewhere'
        : 'send the token as "Authorization: Bearer TOKEN"'
    return reply.code(metricsToken === null ? 403 : 401).send({ error: { reason: 'not-allowed', message } })
  })
}

function mayRead({ headers, socket }: FastifyRequest, token: string | null): boolean {
  if (token !== null) return isSame(headers.authorization ?? '', `Bearer ${token}`)
  // Behind a proxy everybody comes from the same machine.
  const isProxied = headers.forwarded !== undefined || headers['x-forwarded-for'] !== undefined
  return !isProxied && isLoopback(socket.remoteAddress ?? '')
}

function isLoopback(address: string): boolean {
  const plain = address.replace(/^::ffff:/, '')
  return plain === '::1' || (isIP(plain) === 4 && plain.startsWith('127.'))
}

/** In a time that does not tell how much of it was right. */
function isSame(given: string, wanted: string): boolean {
  const hash = (text: string) => createHash('sha256').update(text).digest()
  return timingSafeEqual(hash(given), hash(wanted))
}
