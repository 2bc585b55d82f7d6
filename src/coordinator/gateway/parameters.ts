/**
 * Which parameters of a request are honoured, which change nothing and are accepted, and which are refused by name unless they have their default value:
 * a parameter that would change the answer is never ignored.
 */

import { badParameter } from './apiError.ts'

/** True for the values that leave the answer as it is. */
type IsNeutral = (value: unknown) => boolean

export interface Parameters {
  /** Read by the request's schema. */
  readonly honoured: readonly string[]
  /** They concern clients and bookkeeping alone. */
  readonly inert: readonly string[]
  /** Not built: refused unless neutral. */
  readonly refused: Readonly<Record<string, IsNeutral>>
}

export const isEmpty: IsNeutral = (value) =>
  (Array.isArray(value) && value.length === 0) || (typeof value === 'object' && value !== null && Object.keys(value).length === 0)
export const is =
  (...neutral: readonly unknown[]): IsNeutral =>
  (value) =>
    neutral.includes(value)
export const never: IsNeutral = () => false
const isTextAlone: IsNeutral = (value) => Array.isArray(value) && value.length === 1 && value[0] === 'text'

const COMMON = {
  honoured: [
    'model',
    'stream',
    'stream_options',
    'stop',
    'max_tokens',
    'temperature',
    'top_p',
    'top_k',
    'min_p',
    'seed',
    'n',
    'service_tier',
    'presence_penalty',
    'frequency_penalty',
    'repetition_penalty',
    'logit_bias',
  ],
  inert: ['user', 'metadata', 'safety_identifier', 'prompt_cache_key', 'prompt_cache_retention'],
  refused: { store: is(false) },
} as const

export const CHAT_PARAMETERS: Parameters = {
  honoured: [
    ...COMMON.honoured,
    'messages',
    'max_completion_tokens',
    'logprobs',
    'top_logprobs',
    'response_format',
    'tools',
    'tool_choice',
    'parallel_tool_calls',
  ],
  inert: COMMON.inert,
  refused: {
    ...COMMON.refused,
    functions: isEmpty,
    function_call: is('none', 'auto'),
    modalities: isTextAlone,
    audio: never,
    prediction: never,
    reasoning_effort: is('none'),
    verbosity: is('medium'),
    web_search_options: never,
  },
}

export const COMPLETION_PARAMETERS: Parameters = {
  honoured: [...COMMON.honoured, 'prompt', 'logprobs', 'echo'],
  inert: COMMON.inert,
  refused: { ...COMMON.refused, suffix: is(''), best_of: is(1) },
}

/** The honoured ones of a body; null stands for a parameter that is left out. Throws an ApiError that names the first that is wrong. */
export function honouredOf(body: unknown, { honoured, inert, refused }: Parameters): Record<string, unknown> {
  if (body === undefined) throw badParameter('body', 'the body is empty; send a JSON object', 'invalid_json')
  if (typeof body !== 'object' || body === null || Array.isArray(body))
    throw badParameter('body', 'the body must be a JSON object, as in {"model": "…", …}')
  const given = Object.entries(body).filter(([, value]) => value !== null && value !== undefined)
  for (const [name, value] of given) {
    const isNeutral = Object.hasOwn(refused, name) ? refused[name] : undefined
    if (isNeutral?.(value) === false)
      throw badParameter(name, `${name} is not supported here with this value; leave it out`, 'unsupported_parameter')
    if (isNeutral === undefined && !honoured.includes(name) && !inert.includes(name))
      throw badParameter(name, `there is no parameter ${name}; leave it out`, 'unknown_parameter')
  }
  return Object.fromEntries(given.filter(([name]) => honoured.includes(name)))
}
