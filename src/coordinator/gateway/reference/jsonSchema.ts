/** jsonSchema: valibot's schemas as JSON Schema, for the API's reference: the very schemas by which requests are read, so that the two cannot part. */

import { type JsonSchema, toJsonSchema } from '@valibot/to-json-schema'
import type * as v from 'valibot'

/** What schemas take that choose by their input what that has to be: JSON Schema cannot ask a function. */
const CHOICES = new WeakMap<v.GenericSchema, readonly v.GenericSchema[]>()

/** The schema, which takes what one of `options` takes. */
export function takingOneOf<Schema extends v.GenericSchema>(schema: Schema, ...options: readonly v.GenericSchema[]): Schema {
  CHOICES.set(schema, options)
  return schema
}

/** Draft 2020-12, of what is sent: checks that a JSON Schema has no words for are left out. */
export function jsonSchemaOf(schema: v.GenericSchema): JsonSchema {
  const {
    $schema: _,
    $defs: __,
    ...converted
  } = toJsonSchema(schema, {
    target: 'draft-2020-12',
    typeMode: 'input',
    errorMode: 'ignore',
    overrideSchema({ valibotSchema }) {
      const options = CHOICES.get(valibotSchema as v.GenericSchema)
      if (options === undefined) return null
      const [first, ...others] = options.map(jsonSchemaOf)
      return first !== undefined && others.length === 0 ? first : { anyOf: [first, ...others].filter((option) => option !== undefined) }
    },
  })
  return converted
}
