/** What a server writes to stderr while it runs: notes for a person, or lines of JSON for a program, with one for each request to its API. */

import type { ApiRequestEntry, ServerOptions } from '../server.ts'
import { printNote, UsageError } from './output.ts'

export type LogForm = 'text' | 'json'

export function parseLogForm(text: string): LogForm {
  if (text === 'text' || text === 'json') return text
  throw new UsageError(`--log must be text or json, not "${text}"`)
}

export type ServerLogs = Required<Pick<ServerOptions, 'log'>> & Pick<ServerOptions, 'onRequest'>

export async function serverLogs(form: LogForm): Promise<ServerLogs> {
  if (form === 'text') return { log: printNote }
  const { pino } = await import('pino')
  // Synchronous, so that the last lines before an end are written too.
  const logger = pino({ base: null, timestamp: pino.stdTimeFunctions.isoTime }, pino.destination({ dest: 2, sync: true }))
  return {
    log: (line) => logger.info(line),
    onRequest(entry: ApiRequestEntry) {
      const { durationMs, firstTextMs, ...rest } = entry
      const rounded = { durationMs: Math.round(durationMs), firstTextMs: firstTextMs === null ? null : Math.round(firstTextMs) }
      if (entry.status >= 500) logger.warn({ ...rest, ...rounded }, 'request')
      else logger.info({ ...rest, ...rounded }, 'request')
    },
  }
}
