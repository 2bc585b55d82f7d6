/** responseFormat: what a client says that an answer has to be: a text, a JSON object, or JSON of a schema. */

import * as v from 'valibot'
import { SchemaError } from '../../grammar/index.ts'
import { badParameter } from './apiError.ts'

const NAME_CHARACTERS_MAX = 64

const schemaEntries = {
  name: v.pipe(v.string(), v.minLength(1), v.maxLength(NAME_CHARACTERS_MAX)),
  description: v.nullish(v.string()),
  schema: v.record(v.string(), v.unknown()),
  // Answers satisfy their schema in either case.
  strict: v.nullish(v.boolean()),
}

export const responseFormatSchema = v.variant('type', [
  v.strictObject({ type: v.literal('text') }),
  v.strictObject({ type: v.literal('json_object') }),
  v.strictObject({
    type: v.literal('json_schema'),
    json_schema: v.strictObject(schemaEntries),
  }),
])

/** As the Responses API has it, flat. */
export const textFormatSchema = v.variant('type', [
  v.strictObject({ type: v.literal('text') }),
  v.strictObject({ type: v.literal('json_object') }),
  v.strictObject({ type: v.literal('json_schema'), ...schemaEntries }),
])
export type TextFormat = v.InferOutput<typeof textFormatSchema>

export type ResponseFormat = v.InferOutput<typeof responseFormatSchema>

/** Of what an answer has to be; null: any text. */
export function schemaOf(format: ResponseFormat | TextFormat): object | null {
  if (format.type === 'text') return null
  if (format.type === 'json_object') return { type: 'object' }
  return 'schema' in format ? format.schema : format.json_schema.schema
}

/** What `make` gives, or an ApiError where a schema is wrong, which names its place. */
export function orRefused<Value>(make: () => Value): Value {
  try {
    return make()
  } catch (error) {
    if (!(error instanceof SchemaError)) throw error
    throw badParameter(error.path.slice(0, PARAM_CHARACTERS_MAX), error.message, 'invalid_schema')
  }
}

/** Of names that a client made up. */
const PARAM_CHARACTERS_MAX = 200
