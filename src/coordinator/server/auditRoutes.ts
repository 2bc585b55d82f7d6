/**
 * Audits over HTTP: a peer fetches what it is to compute (GET), brings rows (PUT), or says that it won't (DELETE), at a path that it was told over its
 * control socket, with that path's token. Nothing is read from who has none. Rule V21 of SPEC.md.
 */

import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { AUDIT_BYTES_MAX } from '../../protocol/index.ts'
import { AUDIT_PATH, type AuditExchange, type Errand } from '../audits/index.ts'

type AuditRequest = FastifyRequest<{ Params: { id: string } }>

const TYPE = 'application/octet-stream'

export function registerAuditRoutes(app: FastifyInstance, exchange: AuditExchange): void {
  const find = ({ params, headers }: AuditRequest) => exchange.find(params.id, tokenOf(headers.authorization))
  const take = ({ params, headers }: AuditRequest) => exchange.take(params.id, tokenOf(headers.authorization))
  app.register(async (routes) => {
    routes.addContentTypeParser(TYPE, { parseAs: 'buffer' }, (_request, body, done) => done(null, body))
    routes.get<{ Params: { id: string } }>(`${AUDIT_PATH}:id`, async (request, reply) => {
      const task = find(request)?.task ?? null
      if (task === null) return nothing(reply)
      return reply
        .type(TYPE)
        .header('cache-control', 'no-store')
        .send(Buffer.from(task.buffer, task.byteOffset, task.byteLength))
    })
    routes.put<{ Params: { id: string } }>(
      `${AUDIT_PATH}:id`,
      { bodyLimit: AUDIT_BYTES_MAX, onRequest: mayBring(find) },
      async (request, reply) => {
        const errand = take(request)
        if (errand === null || !(request.body instanceof Uint8Array)) return nothing(reply)
        errand.onBrought(request.body)
        return reply.code(204).send()
      },
    )
    routes.delete<{ Params: { id: string } }>(`${AUDIT_PATH}:id`, async (request, reply) => {
      const errand = take(request)
      if (errand === null) return nothing(reply)
      errand.onRefused()
      return reply.code(204).send()
    })
  })
}

/** Empty where there is none, which is nobody's. */
function tokenOf(authorization: string | undefined): string {
  return /^Bearer ([A-Za-z0-9_-]+)$/.exec(authorization ?? '')?.[1] ?? ''
}

/** Before a byte of the body is read. */
function mayBring(find: (request: AuditRequest) => Errand | null) {
  return async (request: AuditRequest, reply: FastifyReply) => {
    const errand = find(request)
    if (errand === null) return nothing(reply)
    const bytes = Number(request.headers['content-length'] ?? Number.NaN)
    if (bytes <= errand.bytesMax) return
    const message = `the rows have at most ${errand.bytesMax} bytes, and their length has to be said`
    return reply.code(413).send({ error: { reason: 'too-large', message } })
  }
}

function nothing(reply: FastifyReply): FastifyReply {
  return reply.code(404).send({ error: { reason: 'unknown-audit', message: 'there is no such audit, any more' } })
}
