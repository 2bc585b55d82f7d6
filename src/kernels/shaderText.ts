/**
 * Shader text: the few directives that WGSL lacks, resolved before compiling. Software adapters run straight-line code many
 * times faster than loops over arrays in private memory, so kernels are written once and unrolled by text.
 *
 *   //#include NAME               the text of another shader; NAME may hold ${…}
 *   //#repeat i COUNT … //#end    the lines COUNT times, with i = 0 … COUNT − 1
 *   //#if NAME … //#else … //#end kept when NAME is not 0
 *   ${expression}                 of names, whole numbers, + − * / and brackets; division must be exact
 */

import { assert, required } from '../shared/index.ts'

/** WGSL by name, without the ending: `shaders('matvec')`. Throws on an unknown name. */
export type ShaderLibrary = (name: string) => string

export type Defines = Readonly<Record<string, number | string>>

/** Nesting of directives and includes; ours is 5 deep. */
const DEPTH_MAX = 16

/** The shader `name` with every directive resolved. */
export function shaderText(shaders: ShaderLibrary, name: string, defines: Defines): string {
  return expandLines(shaders, shaders(name).split('\n'), defines, 0).join('\n')
}

function expandLines(shaders: ShaderLibrary, lines: readonly string[], defines: Defines, depth: number): string[] {
  assert(depth < DEPTH_MAX, `shader directives nested deeper than ${DEPTH_MAX}`)
  const out: string[] = []
  for (let at = 0; at < lines.length; at++) {
    const line = lines[at] ?? ''
    const directive = /^\s*\/\/#(\w+)\s*(.*)$/.exec(line)
    if (directive === null) {
      out.push(substitute(line, defines))
      continue
    }
    const [, verb, rest = ''] = directive
    const words = rest.trim().split(/\s+/)
    if (verb === 'include') {
      const name = substitute(rest.trim(), defines)
      out.push(...expandLines(shaders, shaders(name).split('\n'), defines, depth + 1))
      continue
    }
    assert(verb === 'repeat' || verb === 'if', `unknown shader directive //#${verb}`)
    const block = findEnd(lines, at)
    if (verb === 'repeat') {
      const variable = required(words[0], 'the variable of //#repeat')
      const count = evaluate(required(words[1], 'the count of //#repeat'), defines)
      const body = lines.slice(at + 1, block.end)
      for (let i = 0; i < count; i++) out.push(...expandLines(shaders, body, { ...defines, [variable]: i }, depth + 1))
    } else {
      const kept = evaluate(rest.trim(), defines) !== 0
      const body = kept ? lines.slice(at + 1, block.otherwise ?? block.end) : lines.slice((block.otherwise ?? block.end) + 1, block.end)
      out.push(...expandLines(shaders, body, defines, depth + 1))
    }
    at = block.end
  }
  return out
}

/** Where the directive that opens at `start` ends, and its `//#else`. */
function findEnd(lines: readonly string[], start: number): { readonly end: number; readonly otherwise: number | null } {
  let depth = 0
  let otherwise: number | null = null
  for (let at = start; at < lines.length; at++) {
    const verb = /^\s*\/\/#(\w+)/.exec(lines[at] ?? '')?.[1]
    if (verb === 'repeat' || verb === 'if') depth++
    else if (verb === 'else' && depth === 1) otherwise = at
    else if (verb === 'end' && --depth === 0) return { end: at, otherwise }
  }
  throw new Error(`assertion failed: no //#end for line ${start + 1}: ${lines[start]}`)
}

function substitute(line: string, defines: Defines): string {
  return line.replace(/\$\{([^}]*)\}/g, (_, expression: string) => {
    const whole = defines[expression.trim()]
    return String(whole ?? evaluate(expression, defines))
  })
}

/** Value of an integer expression; asserts that every name is defined and every division exact. */
function evaluate(expression: string, defines: Defines): number {
  const tokens = expression.match(/\d+|[A-Za-z_]\w*|[-+*/()]/g) ?? []
  let at = 0
  const atom = (): number => {
    const token = required(tokens[at++], `an operand in shader expression ${expression}`)
    if (token === '(') {
      const value = sum()
      assert(tokens[at++] === ')', `unbalanced brackets in shader expression ${expression}`)
      return value
    }
    const value = /^\d/.test(token) ? Number(token) : defines[token]
    assert(typeof value === 'number', `${token} in shader expression ${expression} is not a number`)
    return value
  }
  const product = (): number => {
    let value = atom()
    for (; tokens[at] === '*' || tokens[at] === '/'; ) {
      const divides = tokens[at++] === '/'
      const operand = atom()
      value = divides ? value / operand : value * operand
      assert(Number.isInteger(value), `inexact division in shader expression ${expression}`)
    }
    return value
  }
  const sum = (): number => {
    let value = product()
    for (; tokens[at] === '+' || tokens[at] === '-'; ) value = tokens[at++] === '-' ? value - product() : value + product()
    return value
  }
  const value = sum()
  assert(at === tokens.length, `cannot read shader expression ${expression}`)
  return value
}
