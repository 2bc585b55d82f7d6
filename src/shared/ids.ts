/** Branded ids: a PeerId cannot be passed where a SessionId is meant. All are lower-case hex of a fixed length. */

declare const brand: unique symbol
type Branded<Name extends string> = string & { readonly [brand]: Name }

/** First 16 bytes of SHA-256 over the peer's raw public key, 32 hex digits. */
export type PeerId = Branded<'PeerId'>
/** 16 random bytes chosen by the coordinator, 32 hex digits. */
export type SessionId = Branded<'SessionId'>
/** SHA-256 of the canonical manifest, 64 hex digits. */
export type ManifestHash = Branded<'ManifestHash'>
/** A name out of the catalogue, or of a file: `smollm2-135m-instruct-q4_1`. */
export type ModelId = Branded<'ModelId'>

const hex = (digits: number) => new RegExp(`^[0-9a-f]{${digits}}$`)
const hex32 = hex(32)
const hex64 = hex(64)
const modelName = /^[a-z0-9][a-z0-9._-]{0,99}$/

export function isPeerId(text: string): text is PeerId {
  return hex32.test(text)
}

export function isSessionId(text: string): text is SessionId {
  return hex32.test(text)
}

export function isManifestHash(text: string): text is ManifestHash {
  return hex64.test(text)
}

export function isModelId(text: string): text is ModelId {
  return modelName.test(text)
}
