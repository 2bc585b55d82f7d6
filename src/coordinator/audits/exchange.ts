/**
 * AuditExchange: rows on their way between peers and audits: each peer gets a path with a token for what it is to fetch or to bring, once.
 * Whoever serves HTTP asks here; who is behind a path is not looked at, since nobody else has the token. Rule V21 of SPEC.md.
 */

import { toBase64Url } from '../../shared/index.ts'
import { AUDITS_BYTES_MAX } from './limits.ts'

export const AUDIT_PATH = '/audits/'
const ID_BYTES = 16
const TOKEN_BYTES = 24

export interface Errand {
  /** What the peer may fetch; null: nothing. */
  readonly task: Uint8Array | null
  /** Of what it brings. */
  readonly bytesMax: number
  readonly onBrought: (bytes: Uint8Array) => void
  /** It won't do it. */
  readonly onRefused: () => void
}

export interface Ticket {
  readonly path: string
  readonly token: string
  /** Its bytes are needed no more, and nobody fetches or brings anything with it. */
  close(): void
}

export class AuditExchange {
  readonly #randomBytes: (count: number) => Uint8Array
  readonly #errands = new Map<string, Errand & { readonly token: string }>()
  /** Of tickets that are not closed: what was brought is kept as long. */
  #bytes = 0

  constructor(randomBytes: (count: number) => Uint8Array) {
    this.#randomBytes = randomBytes
  }

  /** Taken. */
  get bytes(): number {
    return this.#bytes
  }

  /** Null where there is no room for its bytes. */
  open(errand: Errand): Ticket | null {
    const bytes = errand.bytesMax + (errand.task?.byteLength ?? 0)
    if (this.#bytes + bytes > AUDITS_BYTES_MAX) return null
    const [id, token] = [toBase64Url(this.#randomBytes(ID_BYTES)), toBase64Url(this.#randomBytes(TOKEN_BYTES))]
    this.#bytes += bytes
    this.#errands.set(id, { ...errand, token })
    let isClosed = false
    const close = () => {
      if (!isClosed) this.#bytes -= bytes
      isClosed = true
      this.#errands.delete(id)
    }
    return { path: `${AUDIT_PATH}${id}`, token, close }
  }

  /** Null: nobody may do anything there with that token. */
  find(id: string, token: string): Errand | null {
    const errand = this.#errands.get(id)
    return errand?.token === token ? errand : null
  }

  /** The same, for whoever now brings something or refuses: once. */
  take(id: string, token: string): Errand | null {
    const errand = this.find(id, token)
    if (errand !== null) this.#errands.delete(id)
    return errand
  }
}
