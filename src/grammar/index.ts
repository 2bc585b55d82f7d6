/** grammar: what an answer must be, as a context-free grammar in EBNF: JSON of a schema, calls of tools. Pure; matching it is the driver's matter. */

export { jsonGrammar } from './jsonGrammar.ts'
export { SchemaError } from './schemaError.ts'
export { callsGrammar, type ToolSchema } from './toolGrammar.ts'
