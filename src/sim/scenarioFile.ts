/**
 * The file of a scenario: read, and refused by the field at fault before anything is built of it. What is allowed is what the simulation can
 * run to an end and the bound can be solved for; the rest of a scenario is scenario.ts.
 */

import * as v from 'valibot'
import { blockSize, tensorTypes } from '../model/index.ts'
import { isModelId, TabswarmError } from '../shared/index.ts'
import { ANSWER_TOKENS, PROMPT_TOKENS } from './question.ts'

/** Few peers, for which the optimum can be found exactly; or many. */
export const SIZES = ['few', 'many'] as const
export type Size = (typeof SIZES)[number]

/** The largest open models have 126. */
const LAYERS_MAX = 128
const MODELS_MAX = 8
const GROUPS_MAX = 16
/** All models' layers times groups times regions: the programs of the bound grow with it, and have a hundred and fifty in the standard scenarios. */
const FLOWS_MAX = 1_024
const PEERS_MAX = 1_000
const SESSIONS_MAX = 1_000_000
/** A phone's processor, and more than any GPU has. */
const SPEED = { least: 1e8, most: 1e15 }
const MEMORY_BYTES_MAX = 2 ** 40
/** Once around the world is 300; a stage that is dialed and opened, in five of them, has 8 s, on slow lines too. */
const RTT_MS_MAX = 500
/** Of a prompt and an answer as long as sessions ask for. */
const CONTEXT_MIN = PROMPT_TOKENS.most + ANSWER_TOKENS.most

const whole = (least: number, most: number) => {
  const says = ({ received }: { readonly received: string }) => `is ${received}; allowed are whole numbers from ${least} to ${most}`
  return v.pipe(v.number(says), v.integer(says), v.minValue(least, says), v.maxValue(most, says))
}

const real = (least: number, most: number) => {
  const says = ({ received }: { readonly received: string }) => `is ${received}; allowed are numbers from ${least} to ${most}`
  return v.pipe(v.number(says), v.minValue(least, says), v.maxValue(most, says))
}

const fields = <Entries extends v.ObjectEntries>(entries: Entries) =>
  v.strictObject(entries, ({ expected, received }) => {
    if (expected === 'never') return `is not known; known are ${Object.keys(entries).join(', ')}`
    return `is ${received === 'undefined' ? 'missing' : received}; it must be there, with ${Object.keys(entries).join(', ')}`
  })

const list = <Item extends v.GenericSchema>(item: Item, most: number) => {
  const says = ({ received }: { readonly received: string }) => `has ${received} entries; allowed are 1 to ${most}`
  return v.pipe(
    v.array(item, ({ received }) => `is ${received}; it must be a list`),
    v.minLength(1, says),
    v.maxLength(most, says),
  )
}

const text = (allowed: string, isAllowed: (value: string) => boolean) => {
  const says = ({ received }: { readonly received: string }) => `is ${received}; allowed are ${allowed}`
  return v.pipe(v.string(says), v.check(isAllowed, says))
}

const bySize = (most: number) => fields({ few: whole(0, most), many: whole(0, most) })
const tensorType = v.picklist(tensorTypes, ({ received }) => `is ${received}; allowed are ${tensorTypes.join(', ')}`)

const model = fields({
  id: text('names of letters, digits, dots and hyphens', isModelId),
  config: fields({
    layerCount: whole(1, LAYERS_MAX),
    width: whole(1, 65_536),
    headCount: whole(1, 1_024),
    kvHeadCount: whole(1, 1_024),
    headSize: whole(2, 1_024),
    feedForwardWidth: whole(1, 1_048_576),
    vocabularySize: whole(1, 1_048_576),
    contextLength: whole(CONTEXT_MIN, 2 ** 24),
  }),
  /** Of the layers, and of embedding and head. */
  types: v.tuple(
    [tensorType, tensorType],
    ({ received }) => `is ${received}; it must be two types, of the layers and of embedding and head`,
  ),
  sessions: bySize(SESSIONS_MAX),
  /** Once everything is placed for `sessions`. */
  sessionsLater: v.optional(bySize(SESSIONS_MAX)),
})

const group = fields({
  count: bySize(PEERS_MAX),
  /** Multiply-accumulates a second, of decoding. */
  macsPerSecond: real(SPEED.least, SPEED.most),
  memoryBytes: whole(1, MEMORY_BYTES_MAX),
  /** Requesters are spread evenly over the regions. */
  region: text('names that are not empty', (name) => name.trim() !== ''),
})

const schema = fields({
  about: v.string(({ received }) => `is ${received}; it must be a text`),
  models: list(model, MODELS_MAX),
  peers: list(group, GROUPS_MAX),
  /** Round trips. */
  rttMs: fields({ within: real(0, RTT_MS_MAX), between: real(0, RTT_MS_MAX) }),
})

export type ScenarioFile = v.InferOutput<typeof schema>

/** What a file says. Throws a TabswarmError `bad-scenario` with the path of the field at fault, what is wrong with it, and what is allowed. */
export function parseScenario(json: string): ScenarioFile {
  let data: unknown
  try {
    data = JSON.parse(json)
  } catch (error) {
    throw badScenario('the file', `is not JSON: ${error instanceof Error ? error.message : error}`)
  }
  const parsed = v.safeParse(schema, data)
  if (!parsed.success) throw badScenario(v.getDotPath(parsed.issues[0]) ?? 'the file', parsed.issues[0].message)
  const file = parsed.output
  for (const [index, { config, types }] of file.models.entries()) checkSizes(`models.${index}`, config, types)
  checkTogether(file)
  return file
}

export function badScenario(field: string, what: string): TabswarmError<'bad-scenario'> {
  return new TabswarmError('bad-scenario', `${field}: ${what}`)
}

/** What must be a multiple of what. */
function checkSizes(
  path: string,
  config: ScenarioFile['models'][number]['config'],
  [type, endsType]: ScenarioFile['models'][number]['types'],
) {
  const { width, headCount, kvHeadCount, headSize, feedForwardWidth } = config
  const check = (field: string, value: number, step: number, why: string) => {
    if (value % step !== 0) throw badScenario(`${path}.config.${field}`, `is ${value}; allowed are multiples of ${step}, ${why}`)
  }
  check('width', width, blockSize(type), `a block of ${type}`)
  check('width', width, blockSize(endsType), `a block of ${endsType}`)
  check('feedForwardWidth', feedForwardWidth, blockSize(type), `a block of ${type}`)
  check('headCount', headCount, kvHeadCount, 'the heads of KV')
  check('headSize', headSize, 2, 'since positions turn pairs')
  check('headSize', headCount * headSize, blockSize(type), `a block of ${type}, times the heads`)
}

function checkTogether({ models, peers }: ScenarioFile): void {
  const ids = models.map(({ id }) => id)
  for (const [index, id] of ids.entries())
    if (ids.indexOf(id) < index)
      throw badScenario(`models.${index}.id`, `is "${id}", as models.${ids.indexOf(id)}.id is; each needs its own`)
  const layers = models.reduce((sum, { config }) => sum + config.layerCount, 0)
  const regions = new Set(peers.map(({ region }) => region)).size
  if (layers * peers.length * regions > FLOWS_MAX)
    throw badScenario(
      'peers',
      `are ${peers.length} groups in ${regions} regions for ${layers} layers; allowed are ${FLOWS_MAX} of groups × regions × layers, so that the bound can be found`,
    )
  for (const size of SIZES) {
    if (peers.every(({ count }) => count[size] === 0))
      throw badScenario(`peers.0.count.${size}`, 'is 0 as in all groups; allowed is 1 or more in one of them')
    for (const field of ['sessions', 'sessionsLater'] as const)
      if (models.every((one) => (one[field] ?? one.sessions)[size] === 0))
        throw badScenario(`models.0.${field}.${size}`, 'is 0 as in all models; allowed is 1 or more in one of them')
  }
}
