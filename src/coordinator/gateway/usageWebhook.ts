/**
 * UsageWebhook: tells another program's address of each request that is over, signed as standardwebhooks.com describes, in their order and at least once:
 * who hears one twice knows it by its id. What cannot be delivered is tried again, and waits within bounds.
 */

import { createHmac } from 'node:crypto'
import { type CancelTimer, type Clock, TabswarmError, toHex } from '../../shared/index.ts'
import type { UsageEvent } from './usageRecords.ts'

export interface UsageWebhookOptions {
  /** http or https. */
  readonly url: string
  /** `whsec_` and 24 to 64 bytes in base64. */
  readonly secret: string
  /** As fetch. */
  readonly send: (url: string, init: RequestInit) => Promise<Response>
  readonly clock: Clock
  readonly randomBytes: (count: number) => Uint8Array
  readonly log: (line: string) => void
}

interface Delivery {
  readonly id: string
  readonly events: readonly UsageEvent[]
}

/** Of one delivery: about 100 KB. */
const EVENTS_AT_ONCE_MAX = 100
/** What waits where nobody answers: an hour of three requests a second, some 10 MB. The oldest go first. */
const EVENTS_WAITING_MAX = 10_000
const ANSWER_MS_MAX = 10_000
const RETRY_FIRST_MS = 1_000
const RETRY_LAST_MS = 300_000
const SECRET_BYTES_MIN = 24
const SECRET_BYTES_MAX = 64

export class UsageWebhook {
  readonly #options: UsageWebhookOptions
  readonly #key: Buffer
  #waiting: UsageEvent[] = []
  #delivery: Delivery | null = null
  #sending: Promise<void> | null = null
  #wake: (() => void) | null = null
  #lost = 0
  #closing = false

  /** Throws a TabswarmError `bad-webhook`. */
  constructor(options: UsageWebhookOptions) {
    const protocol = URL.canParse(options.url) ? new URL(options.url).protocol : ''
    if (protocol !== 'https:' && protocol !== 'http:')
      throw new TabswarmError('bad-webhook', 'the address of a webhook begins with https:// or http://')
    this.#options = options
    this.#key = keyOf(options.secret)
  }

  push(event: UsageEvent): void {
    this.#waiting.push(event)
    if (this.#waiting.length > EVENTS_WAITING_MAX) {
      this.#waiting.shift()
      // Once, until it is heard again.
      if (this.#lost++ === 0) this.#options.log('the webhook of usage does not keep up: the oldest of 10,000 events that wait are left out')
    }
    this.#begin()
  }

  /** Tries once more what waits, and resolves. */
  async close(): Promise<void> {
    this.#closing = true
    this.#wake?.()
    await this.#sending
    const left = this.#waiting.length + (this.#delivery?.events.length ?? 0)
    if (left > 0) this.#options.log(`the webhook of usage did not answer: ${left} events were not delivered`)
  }

  #begin(): void {
    this.#sending ??= this.#sendAll().finally(() => {
      this.#sending = null
      if (this.#waiting.length > 0 && !this.#closing) this.#begin()
    })
  }

  async #sendAll(): Promise<void> {
    for (let waitMs = RETRY_FIRST_MS; ; ) {
      this.#delivery ??= this.#next()
      if (this.#delivery === null) return
      // Before it is known whether it goes: the last try is one that began after `close`.
      const isLast = this.#closing
      if (await this.#send(this.#delivery)) {
        this.#delivery = null
        this.#lost = 0
        waitMs = RETRY_FIRST_MS
        continue
      }
      if (isLast) return
      if (!this.#closing) await this.#pause(waitMs)
      waitMs = Math.min(RETRY_LAST_MS, 2 * waitMs)
    }
  }

  #next(): Delivery | null {
    const events = this.#waiting.slice(0, EVENTS_AT_ONCE_MAX)
    this.#waiting = this.#waiting.slice(EVENTS_AT_ONCE_MAX)
    return events.length === 0 ? null : { id: `msg_${toHex(this.#options.randomBytes(16))}`, events }
  }

  /** Whether it was taken. Never rejects. */
  async #send({ id, events }: Delivery): Promise<boolean> {
    const { url, send, clock } = this.#options
    const body = JSON.stringify({ type: 'usage', data: events })
    const timestamp = String(Math.floor(clock.nowMs() / 1_000))
    const controller = new AbortController()
    const cancel: CancelTimer = clock.after(ANSWER_MS_MAX, () => controller.abort())
    try {
      const headers = {
        'content-type': 'application/json',
        'webhook-id': id,
        'webhook-timestamp': timestamp,
        'webhook-signature': signatureOf(this.#key, `${id}.${timestamp}.${body}`),
      }
      const response = await send(url, { method: 'POST', headers, body, redirect: 'error', signal: controller.signal })
      await response.body?.cancel()
      return response.ok
    } catch {
      return false
    } finally {
      cancel()
    }
  }

  #pause(waitMs: number): Promise<void> {
    return new Promise((resolve) => {
      const cancel = this.#options.clock.after(waitMs, resolve)
      this.#wake = () => {
        cancel()
        resolve()
      }
    })
  }
}

export function signatureOf(key: Buffer, signed: string): string {
  return `v1,${createHmac('sha256', key).update(signed).digest('base64')}`
}

/** Throws a TabswarmError `bad-webhook`. */
export function keyOf(secret: string): Buffer {
  const [, base64 = ''] = /^whsec_([A-Za-z0-9+/]+={0,2})$/.exec(secret) ?? []
  const key = Buffer.from(base64, 'base64')
  if (key.length >= SECRET_BYTES_MIN && key.length <= SECRET_BYTES_MAX) return key
  const make = 'echo "whsec_$(openssl rand -base64 32)" makes one'
  throw new TabswarmError(
    'bad-webhook',
    `the secret of a webhook is whsec_ and ${SECRET_BYTES_MIN} to ${SECRET_BYTES_MAX} bytes in base64: ${make}`,
  )
}
