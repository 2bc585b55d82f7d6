/** toolGrammar: calls of tools as an answer writes them, each with arguments that satisfy the tool's schema. The forms themselves: the gateway's toolCalls.ts reads them. */

import { Ebnf, literal } from './ebnf.ts'
import { SchemaError } from './schemaError.ts'
import { SchemaWriter } from './schemaWriter.ts'

export interface ToolSchema {
  readonly name: string
  /** Of its arguments: of an object. */
  readonly parameters: unknown
  /** What a SchemaError names it by. */
  readonly path: string
}

/** EBNF of one call, or of several where `isParallel`. Throws a SchemaError. */
export function callsGrammar(tools: readonly ToolSchema[], isParallel: boolean): string {
  const ebnf = new Ebnf()
  const space = ebnf.json('space')
  const calls = tools.map(({ name, parameters, path }) => {
    const head = literal(`<tool_call>\n{"name": ${JSON.stringify(name)}, "arguments": `)
    return ebnf.rule(`${head} ${argumentsRule(ebnf, parameters, path)} ${space} ${literal('}\n</tool_call>')}`)
  })
  const call = ebnf.rule(calls.join(' | '))
  return ebnf.text(isParallel ? `${call} ("\\n" ${call}){0,${CALLS_MAX - 1}}` : call)
}

/** Of one answer. */
const CALLS_MAX = 16

function argumentsRule(ebnf: Ebnf, parameters: unknown, path: string): string {
  try {
    return new SchemaWriter(ebnf, parameters).root()
  } catch (error) {
    throw error instanceof SchemaError ? new SchemaError(`${path}${error.path}`, error.message) : error
  }
}
