/** The API's own description as the page shows it: read from OpenAPI, of which no more is expected than is shown. */

import * as v from 'valibot'
import { TabswarmError } from '../../shared/index.ts'

const schemaObject = v.record(v.string(), v.unknown())
const operation = v.object({
  operationId: v.string(),
  summary: v.string(),
  requestBody: v.optional(v.object({ content: v.record(v.string(), v.object({ schema: schemaObject })) })),
})
const document = v.object({
  openapi: v.pipe(v.string(), v.startsWith('3.1')),
  paths: v.record(v.string(), v.record(v.picklist(['get', 'post', 'delete']), operation)),
  components: v.object({
    schemas: v.record(v.string(), schemaObject),
    responses: v.record(v.pipe(v.string(), v.regex(/^E\d{3}$/)), v.object({ description: v.string() })),
  }),
})

export interface Parameter {
  readonly name: string
  readonly isRequired: boolean
  /** As people say it: `number, 0 … 2`. */
  readonly kind: string
  readonly words: string
}

export interface ReferenceOperation {
  readonly id: string
  readonly method: string
  /** With /v1. */
  readonly path: string
  readonly summary: string
  /** Of JSON; empty where there is none, or one of several that have their own. */
  readonly parameters: readonly Parameter[]
}

export interface Reference {
  readonly operations: readonly ReferenceOperation[]
  readonly errors: readonly { readonly status: string; readonly words: string }[]
}

/** Throws a TabswarmError where it is no description that this page can show. */
export function readReference(json: unknown): Reference {
  const parsed = v.safeParse(document, json)
  if (!parsed.success) throw new TabswarmError('bad-reference', 'the coordinator’s description of its API cannot be read; reload the page')
  const { paths, components } = parsed.output
  const operations = Object.entries(paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, { operationId: id, summary, requestBody }]) => ({
      ...{ id, summary, method: method.toUpperCase(), path: `/v1${path}` },
      parameters: parametersOf(requestBody?.content['application/json']?.schema, components.schemas),
    })),
  )
  const errors = Object.entries(components.responses).map(([name, { description: words }]) => ({ status: name.slice(1), words }))
  return { operations, errors }
}

type Schema = Readonly<Record<string, unknown>>

function parametersOf(body: Schema | undefined, schemas: Readonly<Record<string, Schema>>): readonly Parameter[] {
  const name = typeof body?.$ref === 'string' ? body.$ref.split('/').at(-1) : undefined
  const { properties, required } = schemas[name ?? ''] ?? {}
  if (!isSchema(properties)) return []
  const wanted: readonly unknown[] = Array.isArray(required) ? required : []
  return Object.entries(properties).map(([parameter, schema]) => {
    const { description, ...own } = isSchema(schema) ? schema : {}
    return {
      ...{ name: parameter, isRequired: wanted.includes(parameter), kind: kindOf(own) },
      words: typeof description === 'string' ? description : '',
    }
  })
}

/** A type and its bounds, in short; '' where anything goes. */
export function kindOf(schema: unknown): string {
  if (!isSchema(schema)) return ''
  const options = [schema.anyOf, schema.oneOf].find(Array.isArray)
  if (options !== undefined) return [...new Set(options.map(kindOf))].filter((kind) => kind !== '' && kind !== 'null').join(' or ')
  if (schema.const !== undefined) return JSON.stringify(schema.const)
  if (Array.isArray(schema.enum)) return schema.enum.map((value) => JSON.stringify(value)).join(', ')
  const { type, minimum, maximum, items } = schema
  if (type === 'array') return `list of ${kindOf(items) || 'anything'}`
  const name = type === 'integer' ? 'whole number' : type === 'boolean' ? 'true or false' : type === 'string' ? 'text' : type
  const bounds = typeof minimum === 'number' && typeof maximum === 'number' ? `, ${told(minimum)} … ${told(maximum)}` : ''
  return typeof name === 'string' ? `${name}${bounds}` : ''
}

function told(bound: number): string {
  return bound.toLocaleString('en').replace('-', '−')
}

function isSchema(value: unknown): value is Schema {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
