/** tools: which functions an answer may call, or has to, and what follows for its prompt and its grammar. */

import * as v from 'valibot'
import { answerGrammar, type ToolSchema } from '../../grammar/index.ts'
import { badParameter } from './apiError.ts'
import type { ToolDefinition } from './ports.ts'
import { takingOneOf } from './reference/jsonSchema.ts'
import { orRefused, type ResponseFormat, schemaOf, type TextFormat } from './responseFormat.ts'

const TOOLS_MAX = 128
const NAME = /^[a-zA-Z0-9_-]{1,64}$/
const name = v.pipe(v.string(), v.regex(NAME, 'a name has 1 … 64 letters, digits, _ and -'))

const MODES = ['none', 'auto', 'required'] as const
const definitionEntries = {
  name,
  description: v.nullish(v.string()),
  parameters: v.nullish(v.record(v.string(), v.unknown())),
  // Arguments satisfy their schema in either case, where a call is required.
  strict: v.nullish(v.boolean()),
}

export const toolsSchema = v.pipe(
  v.array(v.strictObject({ type: v.literal('function'), function: v.strictObject(definitionEntries) })),
  v.maxLength(TOOLS_MAX),
)
// No union: its error would not say what is wrong in it.
const mode = v.picklist(MODES)
const namedTool = v.strictObject({ type: v.literal('function'), function: v.strictObject({ name }) })
export const toolChoiceSchema = takingOneOf(
  v.lazy((choice) => (typeof choice === 'object' ? namedTool : mode)),
  mode,
  namedTool,
)

/** As the Responses API has them, flat. */
export const flatToolsSchema = v.pipe(
  v.array(v.strictObject({ type: v.literal('function'), ...definitionEntries })),
  v.maxLength(TOOLS_MAX),
)
const flatNamedTool = v.strictObject({ type: v.literal('function'), name })
export const flatToolChoiceSchema = takingOneOf(
  v.lazy((choice) => (typeof choice === 'object' ? flatNamedTool : mode)),
  mode,
  flatNamedTool,
)

interface ToolRequest {
  readonly tools: readonly v.InferOutput<v.ObjectSchema<typeof definitionEntries, undefined>>[]
  /** Or the name of the one that has to be called. */
  readonly choice: (typeof MODES)[number] | { readonly name: string }
  readonly isParallel: boolean
  readonly format: ResponseFormat | TextFormat
  /** What the client calls the place of a tool, and of the format's schema. */
  readonly places: { tool(index: number): string; readonly schema: string }
}

/** What an answer may call, as its reader wants to know. */
export interface CallableTools {
  readonly names: readonly string[]
  /** Whether an answer may have several calls. */
  readonly isParallel: boolean
}

export interface ReadTools {
  /** For the prompt. */
  readonly definitions: readonly ToolDefinition[]
  /** Null: none. */
  readonly callable: CallableTools | null
  /** Null: the answer may be anything. */
  readonly grammar: string | null
}

/** Throws an ApiError. */
export function readTools({ tools, choice, isParallel, format, places }: ToolRequest): ReadTools {
  const names = tools.map((tool) => tool.name)
  const twice = names.findIndex((one, index) => names.indexOf(one) < index)
  if (twice >= 0) throw badParameter(`${places.tool(twice)}.name`, `there are two tools called ${names[twice]}`)
  if (tools.length === 0 && choice !== 'none' && choice !== 'auto') throw badParameter('tool_choice', 'tool_choice needs tools')
  const named = typeof choice === 'object' ? choice.name : null
  if (named !== null && !names.includes(named)) throw badParameter('tool_choice', `there is no tool called ${named}`)
  const schema = schemaOf(format)
  const content = (calls: readonly ToolSchema[]) =>
    orRefused(() => answerGrammar({ calls, isParallel, ...(schema !== null && { content: { schema, path: places.schema } }) }))
  if (tools.length === 0 || choice === 'none') return { definitions: [], callable: null, grammar: schema === null ? null : content([]) }
  const definitions = tools.map(({ name: own, description, parameters }) => ({
    type: 'function' as const,
    function: { name: own, ...(description != null && { description }), parameters: parameters ?? NO_PARAMETERS },
  }))
  const schemas = tools.map(({ name: own, parameters }, index) => ({
    name: own,
    parameters: parameters ?? NO_PARAMETERS,
    path: `${places.tool(index)}.parameters`,
  }))
  const callable = { names, isParallel: isParallel && named === null }
  if (choice === 'auto') return { definitions, callable, grammar: schema === null ? null : content(schemas) }
  const calls = schemas.filter((tool) => named === null || tool.name === named)
  const grammar = orRefused(() => answerGrammar({ calls, isParallel: callable.isParallel }))
  return { definitions, callable, grammar }
}

/** Of a tool that names none. */
const NO_PARAMETERS = { type: 'object', properties: {}, additionalProperties: false }
