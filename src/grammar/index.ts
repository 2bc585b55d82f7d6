/** grammar: what an answer must be, as a context-free grammar in EBNF: JSON of a schema, calls of tools. Pure; matching it is the driver's matter. */

export { type AnswerGrammarRequest, answerGrammar, type ToolSchema } from './answerGrammar.ts'
export { SchemaError } from './schemaError.ts'
