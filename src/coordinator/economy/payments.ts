/**
 * Payments: sessions that are held for and paid by the account of an API key, not by the driver's own. The gateway gets a voucher for each request, and
 * its driver says it when it asks for admission: a peer outside this process can have none.
 */

import { type Pool, toBase64Url } from '../../shared/index.ts'

/** Who a session is paid by. */
export interface SessionPayer {
  /** Null: it is a canary, which no key stands for. */
  readonly keyId: string | null
  readonly account: string
  /** Held from what was set aside under that name first, for many sessions together. */
  readonly fund?: string
  /** Whose tabs may compute it; left out: anybody's. Of one's own nothing is held, charged or paid. */
  readonly pool?: Pool
}

/** Whose API key a client has shown, and what it may. */
export interface KeyHolder extends Omit<Payer, 'pool'> {
  /** Of what it asks; null: for nothing that is computed. */
  readonly pool: Pool | null
  /** Have responses kept here. */
  readonly storesResponses: boolean
}

/** Who a client's request is paid by. */
export interface Payer extends SessionPayer {
  readonly keyId: string
}

/** Lets a driver's sessions be held for and paid by somebody else. */
export interface Payment {
  /** What the driver says when it asks for admission. */
  readonly voucher: string
  /** Nothing more is asked for with it; what is open goes on, and is paid. */
  end(): void
}

/** Nobody guesses it. */
const VOUCHER_BYTES = 24

export class Payments {
  readonly #randomBytes: (count: number) => Uint8Array
  readonly #payers = new Map<string, SessionPayer>()

  constructor(randomBytes: (count: number) => Uint8Array) {
    this.#randomBytes = randomBytes
  }

  begin(payer: SessionPayer): Payment {
    const voucher = toBase64Url(this.#randomBytes(VOUCHER_BYTES))
    this.#payers.set(voucher, payer)
    return { voucher, end: () => void this.#payers.delete(voucher) }
  }

  /** Null: it stands for nobody, or nobody any more. */
  payerOf(voucher: string): SessionPayer | null {
    return this.#payers.get(voucher) ?? null
  }
}
