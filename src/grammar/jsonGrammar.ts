/**
 * jsonGrammar: JSON that satisfies a schema. Each keyword is enforced, says nothing of what is valid, or is refused by its name: none is ignored. Where a schema
 * leaves more open than a grammar should, the grammar allows less: properties come in the schema's order, and none that it does not name beside those that
 * it does.
 */

import { Ebnf } from './ebnf.ts'
import { SchemaWriter } from './schemaWriter.ts'

/** EBNF of all JSON objects, or of the JSON that satisfies `schema`. Throws a SchemaError. */
export function jsonGrammar(schema: unknown = { type: 'object' }): string {
  const ebnf = new Ebnf()
  return ebnf.text(new SchemaWriter(ebnf, schema).root())
}
