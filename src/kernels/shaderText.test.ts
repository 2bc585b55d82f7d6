// biome-ignore-all lint/suspicious/noTemplateCurlyInString: that is what shaders hold
import { describe, expect, it } from 'vitest'
import { type Defines, shaderText } from './shaderText.ts'

const expand = (text: string, defines: Defines = {}, others: Readonly<Record<string, string>> = {}) =>
  shaderText((name) => (name === 'main' ? text : (others[name] ?? `unknown shader ${name}`)), 'main', defines)

describe('shaderText', () => {
  it('puts values of expressions into the text', () => {
    expect(expand('x[${A * (B + 2) - 6 / 3}u] ${NAME}', { A: 3, B: 4, NAME: 'f32' })).toBe('x[16u] f32')
  })

  it('repeats lines, nested, with the variables counted', () => {
    expect(expand('//#repeat i 2\n//#repeat j N\na${i}${j}\n//#end\n//#end\nb', { N: 2 })).toBe('a00\na01\na10\na11\nb')
    expect(expand('//#repeat i 0\na\n//#end')).toBe('')
  })

  it('keeps one branch of a condition', () => {
    const text = '//#if ON\nyes\n//#if OTHER\nboth\n//#end\n//#else\nno\n//#end'
    expect(expand(text, { ON: 1, OTHER: 0 })).toBe('yes')
    expect(expand(text, { ON: 1, OTHER: 1 })).toBe('yes\nboth')
    expect(expand(text, { ON: 0, OTHER: 1 })).toBe('no')
  })

  it('includes other shaders, by name or by a defined name, and resolves them too', () => {
    expect(expand('//#include ${PART}', { PART: 'block', N: 5 }, { block: 'n = ${N}' })).toBe('n = 5')
  })

  it('leaves comments and plain WGSL alone', () => {
    const text = '// a comment\nlet a = array<f32, 4>(); // b'
    expect(expand(text)).toBe(text)
  })

  it.each([
    ['${MISSING}', 'MISSING in shader expression'],
    ['${7 / 2}', 'inexact division'],
    ['${(1}', 'unbalanced brackets'],
    ['${1 2}', 'cannot read'],
    ['//#repeat i 2\na', 'no //#end for line 1'],
    ['//#loop\na\n//#end', 'unknown shader directive //#loop'],
    ['//#include main', 'nested deeper'],
  ])('refuses %s', (text, message) => {
    expect(() => expand(text)).toThrow(message)
  })
})
