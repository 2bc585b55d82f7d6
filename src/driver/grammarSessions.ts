/** GrammarSessions: the thread's half of Grammars: compiles grammars for vocabularies, and keeps how far each answer has come in its own. */

import { required } from '../shared/index.ts'
import type { FromGrammars, ToGrammars } from './grammarMessages.ts'
import type { loadXgrammar } from './xgrammar.ts'

type Library = ReturnType<typeof loadXgrammar>
type Compiler = Awaited<ReturnType<Library['GrammarCompiler']['createGrammarCompiler']>>
type Compiled = Awaited<ReturnType<Compiler['compileGrammar']>>
type Matcher = Awaited<ReturnType<Library['GrammarMatcher']['createGrammarMatcher']>>

/** Compiled grammars that are kept for the next answer: a program asks the same again and again. Some 100 KB each. */
const KEPT_MAX = 32

export class GrammarSessions {
  readonly #library: Library
  /** What the library said last. */
  readonly #lastWords: () => string
  readonly #compilers = new Map<string, Compiler>()
  /** By vocabulary and text, the last used last. */
  readonly #compiled = new Map<string, Compiled>()
  readonly #matchers = new Map<number, Matcher>()

  constructor(library: Library, lastWords: () => string) {
    this.#library = library
    this.#lastWords = lastWords
  }

  /** The answer to a request; null to what has none. */
  async handle(message: ToGrammars): Promise<FromGrammars | null> {
    switch (message.kind) {
      case 'vocabulary':
        await this.#addVocabulary(message)
        return null
      case 'open':
        return this.#answer(message.id, async () => {
          const compiled = await this.#compile(message.vocabulary, message.grammar)
          this.#matchers.set(message.id, await this.#library.GrammarMatcher.createGrammarMatcher(compiled))
          return { kind: 'opened', id: message.id }
        })
      case 'allowed':
        return this.#answer(message.id, async () => {
          const words = await this.#matcher(message.session).getNextTokenBitmask()
          return { kind: 'allowed', id: message.id, words: Uint32Array.from(words) }
        })
      case 'take':
        this.#matcher(message.session).acceptToken(message.token)
        return null
      case 'close':
        this.#matchers.get(message.session)?.dispose()
        this.#matchers.delete(message.session)
        return null
    }
  }

  async #answer(id: number, work: () => Promise<FromGrammars>): Promise<FromGrammars> {
    try {
      return await work()
    } catch (error) {
      return { kind: 'failed', id, message: `${String(error)} ${this.#lastWords()}`.slice(0, 500) }
    }
  }

  async #addVocabulary({ vocabulary, tokens, endIds }: Extract<ToGrammars, { kind: 'vocabulary' }>): Promise<void> {
    const { TokenizerInfo, GrammarCompiler } = this.#library
    const info = await TokenizerInfo.createTokenizerInfo([...tokens], 'byte_level', false, tokens.length, [...endIds])
    this.#compilers.set(vocabulary, await GrammarCompiler.createGrammarCompiler(info, false))
  }

  async #compile(vocabulary: string, grammar: string): Promise<Compiled> {
    const key = `${vocabulary}\n${grammar}`
    const known = this.#compiled.get(key)
    const compiled = known ?? (await required(this.#compilers.get(vocabulary), `the vocabulary ${vocabulary}`).compileGrammar(grammar))
    this.#compiled.delete(key)
    this.#compiled.set(key, compiled)
    const [oldest] = this.#compiled
    if (this.#compiled.size > KEPT_MAX && oldest !== undefined) {
      // Matchers over it hold on to what they need.
      oldest[1].dispose()
      this.#compiled.delete(oldest[0])
    }
    return compiled
  }

  #matcher(session: number): Matcher {
    return required(this.#matchers.get(session), `the grammar of session ${session}`)
  }
}
