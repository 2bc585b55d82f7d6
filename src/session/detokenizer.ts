/**
 * Detokenizer: tokens in, text out, one at a time. A token may end in the middle of a UTF-8 character; the rest is held
 * until it comes. Bytes become U+FFFD only when no continuation can save them (the WHATWG decoder's rule).
 */

export interface TokenText {
  /** The token's bytes in the text; none for tokens that are not shown. */
  tokenBytes(id: number): Uint8Array
}

/** Of UTF-8. */
const CHARACTER_BYTES_MAX = 4
const NO_BYTES = new Uint8Array(0)

export class Detokenizer {
  readonly #tokenizer: TokenText
  readonly #decoder = new TextDecoder('utf-8', { fatal: false, ignoreBOM: true })
  #stripSpace: boolean
  /** The last bytes, on which alone it depends how the next are read. */
  #tail = NO_BYTES

  /**
   * `stripLeadingSpace`: SentencePiece puts a space before a text's first word; true where these tokens are a text of their
   * own and not the continuation of one.
   */
  constructor(tokenizer: TokenText, options: { readonly stripLeadingSpace: boolean }) {
    this.#tokenizer = tokenizer
    this.#stripSpace = options.stripLeadingSpace
  }

  /** The text that is certain after this token; often '' within a character. */
  push(id: number): string {
    const bytes = this.#tokenizer.tokenBytes(id)
    // Behind a byte of ASCII nothing is unfinished.
    if ((bytes[bytes.length - 1] ?? 0x80) < 0x80) this.#tail = NO_BYTES
    else if (bytes.length > 0) this.#tail = lastCharacter(Uint8Array.of(...this.#tail, ...bytes.subarray(-CHARACTER_BYTES_MAX)))
    return this.#strip(this.#decoder.decode(bytes, { stream: true }))
  }

  /** Nothing follows: an unfinished character becomes U+FFFD. */
  flush(): string {
    return this.#strip(this.#decoder.decode())
  }

  /** Another that goes on from here without changing this one. */
  fork(): Detokenizer {
    const fork = new Detokenizer(this.#tokenizer, { stripLeadingSpace: this.#stripSpace })
    fork.#decoder.decode(this.#tail, { stream: true })
    fork.#tail = this.#tail
    return fork
  }

  #strip(text: string): string {
    if (!this.#stripSpace || text === '') return text
    this.#stripSpace = false
    return text.startsWith(' ') ? text.slice(1) : text
  }
}

/**
 * The end of `bytes` from its last character's first byte on. Any byte but a continuation (10xxxxxx) begins anew, whatever
 * was unfinished before it; and after four bytes a character is finished or broken.
 */
function lastCharacter(bytes: Uint8Array): Uint8Array<ArrayBuffer> {
  const end = bytes.slice(-CHARACTER_BYTES_MAX)
  const first = end.findLastIndex((byte) => (byte & 0xc0) !== 0x80)
  return first < 0 ? NO_BYTES : end.slice(first)
}
