import { describe, expect, it } from 'vitest'
import { checkSameVocabulary } from './sameVocabulary.ts'

const named = (name: string, texts: readonly string[]) => ({
  name,
  tokenizer: { vocabularySize: texts.length, tokenText: (id: number) => texts[id] ?? '' },
})

describe('checkSameVocabulary', () => {
  const big = named('Big', ['<s>', 'a', 'Ġthe'])

  it('lets a model with the same texts in the same order draft', () => {
    expect(() => checkSameVocabulary(big, named('Small', ['<s>', 'a', 'Ġthe']))).not.toThrow()
  })

  it('refuses another by name, with the first token that differs, also of equally many', () => {
    const swapped = () => checkSameVocabulary(big, named('Small', ['<s>', 'Ġthe', 'a']))
    expect(swapped).toThrow(expect.objectContaining({ reason: 'other-vocabulary' }))
    expect(swapped).toThrow(/Small cannot draft for Big: its token 1 is "Ġthe", not "a"; choose/)
    expect(() => checkSameVocabulary(big, named('Small', ['<s>', 'a']))).toThrow(/its vocabulary has 2 tokens, not 3/)
    expect(() => checkSameVocabulary(named('Small', ['<s>', 'a']), big)).toThrow(/its vocabulary has 3 tokens, not 2/)
  })
})
