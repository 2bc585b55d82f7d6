/**
 * Detokenizer: tokens in, text out, one at a time. A token may end in the middle of a UTF-8 character; the rest is held
 * until it comes. Bytes become U+FFFD only when no continuation can save them (the WHATWG decoder's rule).
 */

export interface TokenText {
  /** The token's bytes in the text; none for tokens that are not shown. */
  tokenBytes(id: number): Uint8Array
}

export class Detokenizer {
  readonly #tokenizer: TokenText
  readonly #decoder = new TextDecoder('utf-8', { fatal: false, ignoreBOM: true })
  #stripSpace: boolean

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
    return this.#strip(this.#decoder.decode(this.#tokenizer.tokenBytes(id), { stream: true }))
  }

  /** Nothing follows: an unfinished character becomes U+FFFD. */
  flush(): string {
    return this.#strip(this.#decoder.decode())
  }

  #strip(text: string): string {
    if (!this.#stripSpace || text === '') return text
    this.#stripSpace = false
    return text.startsWith(' ') ? text.slice(1) : text
  }
}
