/**
 * answerGrammar: what an answer may be: JSON that satisfies a schema, calls of tools whose arguments satisfy theirs, or either. The form of calls is that which the
 * gateway's ToolCallReader reads.
 */

import { Ebnf, literal } from './ebnf.ts'
import { SchemaError } from './schemaError.ts'
import { SchemaWriter } from './schemaWriter.ts'

/** A schema, and what a SchemaError names it by. */
interface PlacedSchema {
  readonly schema: unknown
  readonly path: string
}

export interface ToolSchema {
  readonly name: string
  /** Of its arguments: of an object. */
  readonly parameters: unknown
  readonly path: string
}

export interface AnswerGrammarRequest {
  /** That the answer may be. */
  readonly content?: PlacedSchema
  /** Tools that it may call. */
  readonly calls: readonly ToolSchema[]
  /** Whether it may call several. */
  readonly isParallel: boolean
}

/** Of one answer. */
const CALLS_MAX = 16

/** EBNF of such answers; there must be something that one may be. Throws a SchemaError. */
export function answerGrammar({ content, calls, isParallel }: AnswerGrammarRequest): string {
  const ebnf = new Ebnf()
  const parts: string[] = []
  if (content !== undefined) parts.push(write(ebnf, content))
  if (calls.length > 0) {
    const call = ebnf.rule(calls.map((tool) => callRule(ebnf, tool)).join(' | '))
    parts.push(isParallel ? `${call} ("\\n" ${call}){0,${CALLS_MAX - 1}}` : call)
  }
  return ebnf.text(parts.join(' | '))
}

function callRule(ebnf: Ebnf, { name, parameters: schema, path }: ToolSchema): string {
  const head = literal(`<tool_call>\n{"name": ${JSON.stringify(name)}, "arguments": `)
  return ebnf.rule(`${head} ${write(ebnf, { schema, path })} ${ebnf.json('space')} ${literal('}\n</tool_call>')}`)
}

function write(ebnf: Ebnf, { schema, path }: PlacedSchema): string {
  try {
    return new SchemaWriter(ebnf, schema).root()
  } catch (error) {
    throw error instanceof SchemaError ? new SchemaError(`${path}${error.path}`, error.message) : error
  }
}
