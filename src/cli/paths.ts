/** The options of `serve` and `demo` that say how tabs may connect to each other: STUN, TURN, and the coordinator's relay. */

import type { Command } from 'commander'
import type { PathOptions } from '../server.ts'
import { oneOf } from './listOptions.ts'
import { UsageError } from './output.ts'

export interface PathFlags {
  readonly stun?: readonly string[]
  readonly turn?: readonly string[]
  readonly turnSecret?: string
  readonly icePolicy: 'all' | 'relay'
  readonly relay: 'on' | 'off'
}

/** Instead of --turn-secret: arguments of a program are seen by every user of the machine. */
export const TURN_SECRET_VARIABLE = 'TABSWARM_TURN_SECRET'

/** RFC 7064 and RFC 7065; host names, IPv4 and bracketed IPv6. */
const HOST = String.raw`(?:\[[0-9a-fA-F:.]+\]|[A-Za-z0-9._-]+)(?::\d{1,5})?`
const STUN_URL = new RegExp(`^stuns?:${HOST}$`)
const TURN_URL = new RegExp(`^turns?:${HOST}(?:\\?transport=(?:udp|tcp))?$`)
/** The welcome message holds a few servers; browsers slow down with more than that. */
const URLS_MAX = 4

export function addPathOptions(command: Command): Command {
  return command
    .option('--stun <url...>', 'STUN servers, so that tabs of different networks connect directly: stun:HOST[:PORT]')
    .option('--turn <url...>', 'TURN servers for those that cannot: turn:HOST[:PORT][?transport=tcp], turns:…')
    .option('--turn-secret <secret>', `their shared secret (coturn: static-auth-secret), or ${TURN_SECRET_VARIABLE}`)
    .option('--ice-policy <policy>', 'relay: connect over TURN alone, to test it', oneOf('--ice-policy', ['all', 'relay']), 'all')
    .option('--relay <on|off>', 'carry sealed frames for tabs that find no other path', oneOf('--relay', ['on', 'off']), 'on')
}

/** Throws UsageError. */
export function pathOptions({ stun = [], turn = [], turnSecret, icePolicy, relay }: PathFlags, env: NodeJS.ProcessEnv): PathOptions {
  const secret = turnSecret ?? env[TURN_SECRET_VARIABLE] ?? ''
  checkUrls('--stun', stun, STUN_URL, 'stun:HOST[:PORT]')
  checkUrls('--turn', turn, TURN_URL, 'turn:HOST[:PORT][?transport=tcp]')
  if (turn.length > 0 && secret === '')
    throw new UsageError(`--turn needs the secret that the TURN server has: give --turn-secret, or set ${TURN_SECRET_VARIABLE}`)
  if (turn.length === 0 && turnSecret !== undefined) throw new UsageError('--turn-secret is for TURN servers: name them with --turn')
  return { stunUrls: stun, turn: turn.length === 0 ? null : { urls: turn, secret }, iceTransportPolicy: icePolicy, relay: relay === 'on' }
}

function checkUrls(name: string, urls: readonly string[], form: RegExp, example: string): void {
  const wrong = urls.find((url) => !form.test(url))
  if (wrong !== undefined) throw new UsageError(`${name} takes ${example}, not "${wrong}"`)
  if (urls.length > URLS_MAX) throw new UsageError(`${name} takes at most ${URLS_MAX} servers, not ${urls.length}`)
}
