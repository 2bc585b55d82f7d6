/** What a driver and the thread of its grammars say to each other. Requests are answered in their order of coming, each once. */

export type ToGrammars =
  /** How the tokens of a vocabulary are written: each byte as the character that byte-level tokenizers have for it; none for tokens that no answer shows. */
  | { readonly kind: 'vocabulary'; readonly vocabulary: string; readonly tokens: readonly string[]; readonly endIds: readonly number[] }
  | { readonly kind: 'open'; readonly id: number; readonly vocabulary: string; readonly grammar: string }
  | { readonly kind: 'allowed'; readonly id: number; readonly session: number }
  | { readonly kind: 'take'; readonly session: number; readonly token: number }
  | { readonly kind: 'close'; readonly session: number }

export type FromGrammars =
  /** The `open` of that id has become a session of that number. */
  | { readonly kind: 'opened'; readonly id: number }
  | { readonly kind: 'allowed'; readonly id: number; readonly words: Uint32Array }
  | { readonly kind: 'failed'; readonly id: number; readonly message: string }
