/**
 * BrowserAccount: who this browser earns and pays as. The key is made when it is first needed, kept by the vault for all tabs of the browser,
 * and the recovery phrase with it until its owner says that it is saved.
 */

import { certifyPeer, type RecoveryCopy, type SignedDocument, type WrappedKey } from '../protocol/index.ts'
import { type PeerId, type Signer, toBase64Url } from '../shared/index.ts'
import { type AccountKey, type AccountKeyPorts, accountSigner, createAccountKey, openCopy } from './accountKey.ts'
import { newRecoveryPhrase, recoveryKeys } from './recoveryPhrase.ts'

/** What a browser keeps of its account. */
export interface KeptAccount extends AccountKey {
  readonly copy: RecoveryCopy
  /** Until its owner has saved it; null from then on. */
  readonly phrase: string | null
}

/** Where it is kept: vault.ts. */
export interface AccountVault {
  /** Outlives the tab. */
  readonly isKept: boolean
  read(): Promise<KeptAccount | null>
  /** Keeps `account` unless another tab was first; returns who is kept. */
  addFirst(account: KeptAccount): Promise<KeptAccount>
  replace(account: KeptAccount): Promise<void>
  /** Calls `listener`, the last one given, whenever another tab has replaced it. */
  onReplaced(listener: () => void): void
}

/** What is kept of an account, out of its phrase and the copy of its key. Rejects with TabswarmError `bad-phrase` or `bad-copy`. */
export async function openKept(phrase: string, copy: RecoveryCopy, subtle: SubtleCrypto): Promise<KeptAccount> {
  return { ...(await openCopy(await recoveryKeys(phrase, subtle), copy, subtle)), copy, phrase }
}

/** An account that a phrase has opened, and that is not this browser's yet. */
export interface FoundAccount {
  /** It is this browser's already. */
  readonly isSame: boolean
  certify(peerId: PeerId, nowMs: number): Promise<SignedDocument>
  /** It takes the place of this browser's account, in all its tabs. */
  take(): Promise<void>
}

export class BrowserAccount {
  /** False: nothing is kept, so it ends with this tab. */
  readonly isKept: boolean
  readonly #vault: AccountVault
  readonly #ports: AccountKeyPorts
  #kept: KeptAccount
  #signer: Signer

  private constructor(vault: AccountVault, ports: AccountKeyPorts, kept: KeptAccount) {
    this.isKept = vault.isKept
    this.#vault = vault
    this.#ports = ports
    this.#kept = kept
    this.#signer = accountSigner(kept, ports.subtle)
  }

  /** This browser's account, made now if there is none. Rejects where the browser keeps nothing, or has no WebCrypto. */
  static async open(vault: AccountVault, ports: AccountKeyPorts): Promise<BrowserAccount> {
    return new BrowserAccount(vault, ports, (await vault.read()) ?? (await vault.addFirst(await create(ports))))
  }

  /** Raw, 65 bytes. */
  get publicKey(): Uint8Array {
    return this.#kept.publicKey
  }

  /** For the coordinator to keep: whoever knows the phrase gets it back from there, on any device. */
  get copy(): RecoveryCopy {
    return this.#kept.copy
  }

  /** To be shown until it is saved; null from then on. */
  get unsavedPhrase(): string | null {
    return this.#kept.phrase
  }

  /** This peer is one of the account's. `nowMs` is coordinator time. */
  certify(peerId: PeerId, nowMs: number): Promise<SignedDocument> {
    return certifyPeer(peerId, this.#signer, nowMs)
  }

  /** Its owner has saved the phrase: it is kept here no longer. */
  async forgetPhrase(): Promise<void> {
    await this.#replace({ ...this.#kept, phrase: null })
  }

  /** Calls `listener`, the last one given, when another tab has let the phrase go or taken another account. */
  onChange(listener: () => void): void {
    const reread = async () => {
      const kept = await this.#vault.read()
      if (kept === null) return
      this.#use(kept)
      listener()
    }
    this.#vault.onReplaced(() => void reread().catch(() => undefined))
  }

  /**
   * The account that a phrase opens; `copyAt` gives the copy that is kept under a name. Rejects with TabswarmError `bad-phrase` or `bad-copy`, or as
   * `copyAt` does.
   */
  async find(phrase: string, copyAt: (lookup: string) => Promise<WrappedKey>): Promise<FoundAccount> {
    const { subtle } = this.#ports
    const keys = await recoveryKeys(phrase, subtle)
    const { publicKey, iv, wrapped } = await copyAt(keys.lookup)
    const copy = { lookup: keys.lookup, publicKey, iv, wrapped }
    const key = await openCopy(keys, copy, subtle)
    const signer = accountSigner(key, subtle)
    return {
      isSame: toBase64Url(key.publicKey) === toBase64Url(this.#kept.publicKey),
      certify: (peerId, nowMs) => certifyPeer(peerId, signer, nowMs),
      take: () => this.#replace({ ...key, copy, phrase: null }),
    }
  }

  async #replace(kept: KeptAccount): Promise<void> {
    await this.#vault.replace(kept)
    this.#use(kept)
  }

  #use(kept: KeptAccount): void {
    this.#kept = kept
    this.#signer = accountSigner(kept, this.#ports.subtle)
  }
}

async function create(ports: AccountKeyPorts): Promise<KeptAccount> {
  const phrase = newRecoveryPhrase(ports.randomBytes)
  const { key, copy } = await createAccountKey(phrase, ports)
  return { ...key, copy, phrase }
}
