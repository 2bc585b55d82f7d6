/**
 * Grammars: what the driver's answers have to be. Compiling a grammar for a vocabulary takes a second, and a library in WebAssembly does it that aborts where
 * it is asked for nonsense: so it has a thread of its own, which begins with the first grammar. Where it dies or is too slow, the answers that depend on
 * it fail by name, and the next one begins another.
 */

import { fileURLToPath } from 'node:url'
import { Worker } from 'node:worker_threads'
import type { Tokenizer } from '../model/index.ts'
import type { TokenConstraint } from '../session/index.ts'
import { type Clock, type Deferred, deferred, TabswarmError } from '../shared/index.ts'
import type { FromGrammars, ToGrammars } from './grammarMessages.ts'

/** A constraint, and the end of it. */
export interface GrammarSession extends TokenConstraint {
  close(): void
}

/** For a grammar of all that a schema may have, on a busy machine; most take a tenth of a second. */
const OPEN_MS = 20_000

export class Grammars {
  readonly #clock: Clock
  #worker: Worker | null = null
  /** Vocabularies that the present thread has. */
  readonly #known = new Set<string>()
  readonly #asked = new Map<number, Deferred<FromGrammars>>()
  #requests = 0

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /** `vocabulary` names the tokenizer's. Rejects with a TabswarmError: `bad-schema`, `grammar-lost`. */
  async open(vocabulary: string, tokenizer: Tokenizer, grammar: string): Promise<GrammarSession> {
    const worker = this.#begin()
    if (!this.#known.has(vocabulary)) {
      this.#known.add(vocabulary)
      worker.postMessage({
        kind: 'vocabulary',
        vocabulary,
        tokens: writtenTokens(tokenizer),
        endIds: tokenizer.endIds,
      } satisfies ToGrammars)
    }
    const session = this.#requests++
    const cancel = this.#clock.after(OPEN_MS, () => void worker.terminate())
    try {
      await this.#ask(worker, { kind: 'open', id: session, vocabulary, grammar })
    } finally {
      cancel()
    }
    const isThere = () => {
      if (this.#worker !== worker) throw lost()
    }
    return {
      allowed: async () => {
        isThere()
        const answer = await this.#ask(worker, { kind: 'allowed', id: this.#requests++, session })
        if (answer.kind !== 'allowed') throw lost()
        return answer.words
      },
      take: (token) => worker.postMessage({ kind: 'take', session, token } satisfies ToGrammars),
      close: () => worker.postMessage({ kind: 'close', session } satisfies ToGrammars),
    }
  }

  async end(): Promise<void> {
    await this.#worker?.terminate()
  }

  #begin(): Worker {
    if (this.#worker !== null) return this.#worker
    // What the thread writes may quote a grammar.
    const worker = new Worker(fileURLToPath(new URL('../../bin/grammar.mjs', import.meta.url)), { stdout: true, stderr: true })
    this.#worker = worker
    this.#known.clear()
    worker.on('message', (message: FromGrammars) => {
      this.#asked.get(message.id)?.resolve(message)
      this.#asked.delete(message.id)
    })
    worker.on('error', () => undefined)
    worker.on('exit', () => this.#lost(worker))
    return worker
  }

  async #ask(worker: Worker, message: Extract<ToGrammars, { readonly id: number }>): Promise<FromGrammars> {
    const asked = deferred<FromGrammars>()
    this.#asked.set(message.id, asked)
    worker.postMessage(message)
    const answer = await asked.promise
    if (answer.kind === 'failed') throw new TabswarmError('bad-schema', `the grammar cannot be matched: ${answer.message}`)
    return answer
  }

  #lost(worker: Worker): void {
    if (this.#worker === worker) this.#worker = null
    const all = [...this.#asked.values()]
    this.#asked.clear()
    for (const { reject } of all) reject(lost())
  }
}

function lost(): TabswarmError {
  return new TabswarmError(
    'grammar-lost',
    'the coordinator lost what holds answers to their schemas; ask again, with a smaller schema if it happens again',
  )
}

/** Byte-level tokenizers write each byte as one character: printable ones as they are, the others from U+0100 on. */
function writtenTokens(tokenizer: Tokenizer): string[] {
  const characters = byteCharacters()
  return Array.from({ length: tokenizer.vocabularySize }, (_, id) =>
    Array.from(tokenizer.tokenBytes(id), (byte) => characters[byte] ?? '').join(''),
  )
}

/** Index = byte. https://github.com/openai/gpt-2/blob/master/src/encoder.py */
function byteCharacters(): string[] {
  let next = 0x100
  const isPrintable = (byte: number) => (byte > 0x20 && byte < 0x7f) || (byte > 0xa0 && byte !== 0xad)
  return Array.from({ length: 256 }, (_, byte) => String.fromCharCode(isPrintable(byte) ? byte : next++))
}
