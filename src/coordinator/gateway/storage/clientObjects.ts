/** ClientObjects: what a client has left here, sealed and opened: an object with a header of JSON, and bytes in parts. */

import { type Clock, TabswarmError, toBase64Url, toHex } from '../../../shared/index.ts'
import type { SealedKind, SealedListing, SealedObject } from '../../store/index.ts'
import { ApiError } from '../apiError.ts'
import type { GatewayStorage } from './ports.ts'
import { SALT_BYTES, type Seal, type SealingKey } from './sealing.ts'

export interface ClientObjectsOptions {
  readonly storage: Promise<GatewayStorage>
  readonly clock: Clock
  /** Cryptographically strong. */
  readonly randomBytes: (count: number) => Uint8Array
}

/** A name for the kind of an object, as OpenAI's ids begin. */
export type ObjectPrefix = 'file-' | 'batch_' | 'resp_'

export interface NewObject {
  readonly id: string
  readonly kind: SealedKind
  readonly header: unknown
  readonly expiresAtMs: number | null
}

const ID_BYTES = 12
/** Of bytes that are sealed together: a row of the store. */
const PART_BYTES = 192 * 1024
/** Rows read at once. */
const PARTS_READ = 16

export class ClientObjects {
  readonly #options: ClientObjectsOptions

  constructor(options: ClientObjectsOptions) {
    this.#options = options
  }

  get storage(): Promise<GatewayStorage> {
    return this.#options.storage
  }

  nowMs(): number {
    return Math.floor(this.#options.clock.nowMs())
  }

  newId(prefix: ObjectPrefix): string {
    return `${prefix}${toHex(this.#options.randomBytes(ID_BYTES))}`
  }

  /** Sealed, and not written yet. */
  row(key: SealingKey, { id, kind, header, expiresAtMs }: NewObject): Omit<SealedObject, 'createdAtMs'> {
    const salt = toBase64Url(this.#options.randomBytes(SALT_BYTES))
    const sealed = this.#sealOf(key, { id, salt }).closeJson('header', header)
    return { id, key: key.keyId, kind, salt, header: sealed, bytes: 0, expiresAtMs }
  }

  /** Rejects with an ApiError where the key has as much here as it may. */
  async add(key: SealingKey, object: NewObject, content: Uint8Array): Promise<SealedObject> {
    const row = { ...this.row(key, object), bytes: content.length }
    const seal = this.seal(key, row)
    const parts = Array.from({ length: Math.ceil(content.length / PART_BYTES) }, (_, index) =>
      seal.close(index, content.subarray(index * PART_BYTES, (index + 1) * PART_BYTES)),
    )
    const { sealed } = await this.storage
    const [added] = await untilFull(sealed.add([row], parts))
    if (added === undefined) throw new Error(`assertion failed: the store added nothing for ${row.id}`)
    return added
  }

  /** Rejects with an ApiError 404: there is none of this key, or no more. `param`: what named it; left out: the address. */
  async find(key: SealingKey, kinds: readonly SealedKind[], id: string, param?: string): Promise<SealedObject> {
    const found = await (await this.storage).sealed.find(id, key.keyId)
    if (found !== null && kinds.includes(found.kind)) return found
    const named = param === undefined ? {} : { param }
    throw new ApiError(404, `there is no ${id.slice(0, 100)} of this API key; what is kept is gone a day after its result`, {
      code: 'not_found',
      ...named,
    })
  }

  async list(key: SealingKey, listing: SealedListing): Promise<readonly SealedObject[]> {
    return (await this.storage).sealed.list(key.keyId, listing)
  }

  /** Nobody but this module wrote it, so it is what `row` was given. */
  header<Header>(key: SealingKey, object: SealedObject): Header {
    return this.seal(key, object).openJson<Header>('header', object.header)
  }

  seal(key: SealingKey, object: { readonly id: string; readonly salt: string }): Seal {
    return this.#sealOf(key, object)
  }

  /** Its parts in order, opened. */
  async *content(key: SealingKey, object: SealedObject): AsyncGenerator<Uint8Array> {
    const seal = this.seal(key, object)
    const { sealed } = await this.storage
    for (let from = 0; ; ) {
      const parts = await sealed.parts(object.id, from, PARTS_READ)
      for (const part of parts) yield seal.open(part.index, part.sealed)
      const last = parts.at(-1)
      if (last === undefined || parts.length < PARTS_READ) return
      from = last.index + 1
    }
  }

  async whole(key: SealingKey, object: SealedObject): Promise<Uint8Array> {
    const chunks: Uint8Array[] = []
    for await (const chunk of this.content(key, object)) chunks.push(chunk)
    return Buffer.concat(chunks)
  }

  #sealOf(key: SealingKey, object: { readonly id: string; readonly salt: string }): Seal {
    return key.seal(object, this.#options.randomBytes)
  }
}

/** What the store refuses for want of room is the client's matter. */
export async function untilFull<Value>(work: Promise<Value>): Promise<Value> {
  try {
    return await work
  } catch (error) {
    if (error instanceof TabswarmError && error.reason === 'full') throw new ApiError(413, error.message, { code: 'storage_full' })
    throw error
  }
}
