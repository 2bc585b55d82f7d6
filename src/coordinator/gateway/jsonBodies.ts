/** JsonBodies: what the API reads a request's body as: JSON that is not compressed, and no deeper than anything here asks for. */

import type { FastifyInstance } from 'fastify'
import { ApiError } from './apiError.ts'

/** A schema of a tool is a dozen deep; what writes JSON again would fail far above. */
const DEPTH_MAX = 128

export function registerJsonBodies(v1: FastifyInstance): void {
  const parse = v1.getDefaultJsonParser('error', 'error')
  v1.removeContentTypeParser(['application/json', 'text/plain'])
  v1.addContentTypeParser<string>('application/json', { parseAs: 'string' }, (request, body, done) => {
    const encoding = request.headers['content-encoding'] ?? 'identity'
    if (encoding !== 'identity')
      return done(new ApiError(415, `a body in ${encoding} is not read here; send it as it is`, { code: 'unsupported_content_encoding' }))
    if (isDeep(body)) return done(new ApiError(400, `the body is nested more than ${DEPTH_MAX} deep`, { code: 'invalid_json' }))
    // Some clients say JSON where they send nothing, as of DELETE. Who wants a body misses it.
    if (body === '') return done(null, undefined)
    return parse(request, body, done)
  })
}

/** By its brackets outside of texts, so that nothing that reads trees has to take one so deep. */
function isDeep(json: string): boolean {
  let depth = 0
  let isText = false
  for (let at = 0; at < json.length; at++) {
    const code = json.charCodeAt(at)
    if (isText) {
      if (code === BACKSLASH) at++
      else if (code === QUOTE) isText = false
    } else if (code === QUOTE) isText = true
    else if (code === OPEN_BRACE || code === OPEN_BRACKET) {
      if (++depth > DEPTH_MAX) return true
    } else if (code === CLOSE_BRACE || code === CLOSE_BRACKET) depth--
  }
  return false
}

const [QUOTE, BACKSLASH, OPEN_BRACKET, CLOSE_BRACKET, OPEN_BRACE, CLOSE_BRACE] = [0x22, 0x5c, 0x5b, 0x5d, 0x7b, 0x7d]
