/** otherMethods: the methods that an address does not know are refused with those that it does, in the form that clients read. */

import type { FastifyInstance } from 'fastify'
import { ApiError } from './apiError.ts'

/** Of a wildcard that hears of what is not found. */
const ANYWHERE = '/*'

/** Before any route is registered. What it returns is called when all are, with who registers its own. */
export function watchMethods(v1: FastifyInstance): (last: FastifyInstance) => void {
  const known = new Map<string, Set<string>>()
  let isOver = false
  v1.addHook('onRoute', ({ routePath, method }) => {
    if (isOver || routePath === ANYWHERE) return
    known.set(routePath, new Set([...(known.get(routePath) ?? []), method].flat()))
  })
  return (last) => {
    isOver = true
    for (const [url, methods] of known) {
      const allow = last.supportedMethods.filter((method) => methods.has(method)).join(', ')
      last.route({
        method: last.supportedMethods.filter((method) => !methods.has(method)),
        url,
        // Before its body is read.
        onRequest: async ({ method }) => {
          const message = `${url} has no ${method} here; it has ${allow}`
          throw new ApiError(405, message, { code: 'method_not_allowed', headers: { allow } })
        },
        handler: async () => undefined,
      })
    }
  }
}
