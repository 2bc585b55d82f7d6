/** openApi: the API's own description, made of the schemas that its requests are read by and its answers are tested by. */

import type { JsonSchema } from '@valibot/to-json-schema'
import type * as v from 'valibot'
import { POOLS } from '../../../shared/index.ts'
import { POOL_HEADER, PRICE_HEADER, policySchema } from '../policy.ts'
import { errorSchema } from './answerSchemas.ts'
import { jsonSchemaOf } from './jsonSchema.ts'
import { OPERATIONS, type Operation, type RequestBody } from './operations.ts'
import { PARAMETER_WORDS } from './parameterWords.ts'

const INERT = 'Accepted; it changes no answer.'
const REFUSED = 'Not served: refused by name, unless its value asks for nothing.'
const DESCRIPTION =
  'The API that OpenAI’s clients speak, computed by idle GPUs in browser tabs. What is sent here passes through the memory of whoever runs this ' +
  'coordinator, and is kept nowhere unless that was asked for; the chat in the web app, or a coordinator of one’s own, avoids even that. The tabs that ' +
  'compute an answer could reconstruct its text. A parameter that would change the answer is honoured or refused by its name.'

/** What every request may be refused with. */
const ERRORS: Readonly<Record<string, string>> = {
  400: 'A parameter is wrong, not supported or unknown: `param` says which.',
  401: 'The API key is missing or unknown.',
  402: 'Credits are missing, or the key’s budget is spent.',
  403: 'The key may not do that, or what was demanded of the answer’s pool or price cannot be had.',
  404: 'There is no such model, request or address.',
  405: 'The address has no such method; `allow` says which it has.',
  409: 'The `Idempotency-Key` belongs to another request, or the object’s state forbids it.',
  413: 'The body is too large.',
  415: 'The body is not JSON.',
  429: 'Too many requests; `retry-after` says when to ask again.',
  500: 'The coordinator is at fault.',
  503: 'Nobody has room, or what computed was lost: it passes; `retry-after` says when to ask again.',
}

export interface OpenApiOptions {
  /** Whether the coordinator keeps what clients leave there. */
  readonly hasStorage: boolean
  readonly needsKey: boolean
}

/** OpenAPI 3.1. */
export function openApiDocument({ hasStorage, needsKey }: OpenApiOptions): object {
  const operations = OPERATIONS.filter((one) => hasStorage || one.needsStorage !== true)
  const schemas: Record<string, object> = { Error: jsonSchemaOf(errorSchema) }
  const refer = (name: string, make: () => object) => {
    schemas[name] ??= make()
    return { $ref: `#/components/schemas/${name}` }
  }
  const paths: Record<string, Record<string, object>> = {}
  for (const one of operations) paths[one.path] = { ...paths[one.path], [one.method]: operationForm(one, refer) }
  const responses = Object.fromEntries(
    Object.entries(ERRORS).map(([status, description]) => [`E${status}`, { description, content: jsonOf(refer('Error', () => ({}))) }]),
  )
  return {
    openapi: '3.1.0',
    info: { title: 'Tabswarm', version: '1', description: DESCRIPTION, license: { name: 'Apache-2.0', identifier: 'Apache-2.0' } },
    servers: [{ url: '/v1' }],
    ...(needsKey && { security: [{ key: [] }] }),
    paths,
    components: {
      schemas,
      responses,
      ...(needsKey && { securitySchemes: { key: { type: 'http', scheme: 'bearer', description: '`tabswarm key create` makes one.' } } }),
    },
  }
}

type Refer = (name: string, make: () => object) => object

function operationForm({ id, summary, path, query = {}, bodies, answer, chunk, ...operation }: Operation, refer: Refer): object {
  const parameters = [
    ...[...path.matchAll(/\{(\w+)\}/g)].map(([, name]) => ({ name, in: 'path', required: true, schema: { type: 'string' } })),
    ...Object.entries(query).map(([name, description]) => ({ name, in: 'query', description, schema: { type: 'string' } })),
    ...(bodies.length === 0 ? [] : POLICY_HEADERS),
  ]
  const schemas = bodies.map((body) => refer(body.name, () => bodySchema(body)))
  const told = (of: { readonly name: string; readonly schema: v.GenericSchema }) => refer(of.name, () => jsonSchemaOf(of.schema))
  const content = {
    ...(answer === null ? { 'application/octet-stream': {} } : jsonOf(told(answer))),
    ...(chunk !== undefined && {
      'text/event-stream': { schema: { ...told(chunk), description: 'Data of one event; [DONE] ends the stream, or an error does.' } },
    }),
  }
  return {
    operationId: id,
    summary,
    ...(parameters.length > 0 && { parameters }),
    ...(schemas.length > 0 && { requestBody: { required: true, content: jsonOf(schemas.length === 1 ? schemas[0] : { anyOf: schemas }) } }),
    ...(operation.method === 'post' && path === '/files' && { requestBody: FORM }),
    responses: {
      200: { description: 'The answer.', content },
      ...Object.fromEntries(Object.keys(ERRORS).map((status) => [status, { $ref: `#/components/responses/E${status}` }])),
    },
  }
}

const FORM = {
  required: true,
  content: {
    'multipart/form-data': {
      schema: {
        type: 'object',
        required: ['file', 'purpose'],
        properties: { file: { type: 'string', contentMediaType: 'application/octet-stream' }, purpose: { const: 'batch' } },
      },
    },
  },
}

/** For clients that can set headers and not fields of their own; what the body says goes before them. */
const POLICY_HEADERS = [
  { name: POOL_HEADER, in: 'header', description: 'As `tabswarm.pool` of the body.', schema: { enum: POOLS } },
  { name: PRICE_HEADER, in: 'header', description: 'As `tabswarm.max_price` of the body.', schema: { type: 'string' } },
]

/** Null stands for a parameter that is left out. */
function bodySchema({ schema, parameters: { inert, refused } }: RequestBody): object {
  const { properties = {}, required = [], ...rest } = jsonSchemaOf(schema)
  const own = Object.entries(properties).map(([name, property]) => {
    const description = PARAMETER_WORDS[name]
    const told = required.includes(name) && typeof property === 'object' ? property : orNull(property)
    return [name, { ...told, ...(description !== undefined && { description }) }]
  })
  const policy = ['tabswarm', { ...orNull(jsonSchemaOf(policySchema)), description: PARAMETER_WORDS.tabswarm }]
  const others = [...inert.map((name) => [name, INERT]), ...Object.keys(refused).map((name) => [name, REFUSED])]
    .filter(([name = '']) => !Object.hasOwn(properties, name))
    .map(([name, description]) => [name, { description }])
  return { ...rest, required, properties: Object.fromEntries([...own, policy, ...others]) }
}

function orNull(property: JsonSchema | boolean): object {
  return { anyOf: [property, { type: 'null' }] }
}

function jsonOf(schema: object | undefined) {
  return { 'application/json': { schema } }
}
