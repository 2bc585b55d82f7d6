/** SchemaError: a JSON Schema that no answer can be held to here: `path` says where in it, the message what to do. */

import { TabswarmError } from '../shared/index.ts'

export class SchemaError extends TabswarmError {
  override readonly name = 'SchemaError'
  /** As in `.properties.size`; empty for the schema itself. */
  readonly path: string

  constructor(path: string, message: string) {
    super('bad-schema', message)
    this.path = path
  }
}
