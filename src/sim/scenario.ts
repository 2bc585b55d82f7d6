/** Standard scenarios of the simulation: who pledges what, which models are wanted by how many, how far apart all are. Files in scenarios/. */

import { readdirSync, readFileSync } from 'node:fs'
import * as v from 'valibot'
import { costsOf, type ModelCosts, type SwarmModel } from '../coordinator/core/index.ts'
import { type ModelConfig, tensorTypes } from '../model/index.ts'
import type { ManifestHash, ModelId } from '../shared/index.ts'
import { ARITHMETIC_WIDTH } from './arithmetic.ts'
import { manifestOf, modelConfig } from './modelConfig.ts'
import { VOCABULARY } from './modelEngine.ts'

/** Few peers, for which the optimum can be found exactly; or many. */
export type Size = 'few' | 'many'

const count = v.pipe(v.number(), v.integer(), v.minValue(0))
const bySize = v.strictObject({ few: count, many: count })

const schema = v.strictObject({
  about: v.string(),
  models: v.pipe(
    v.array(
      v.strictObject({
        id: v.string(),
        config: v.strictObject({
          layerCount: count,
          width: count,
          headCount: count,
          kvHeadCount: count,
          headSize: count,
          feedForwardWidth: count,
          vocabularySize: count,
          contextLength: count,
        }),
        /** Of the layers, and of embedding and head. */
        types: v.tuple([v.picklist(tensorTypes), v.picklist(tensorTypes)]),
        sessions: bySize,
        /** Once everything is placed for `sessions`. */
        sessionsLater: v.optional(bySize),
      }),
    ),
    v.minLength(1),
  ),
  peers: v.pipe(
    v.array(
      v.strictObject({
        count: bySize,
        /** Multiply-accumulates a second, of decoding. */
        macsPerSecond: v.pipe(v.number(), v.minValue(1)),
        memoryBytes: count,
        /** Requesters are spread evenly over the regions. */
        region: v.string(),
      }),
    ),
    v.minLength(1),
  ),
  /** Round trips. */
  rttMs: v.strictObject({ within: v.number(), between: v.number() }),
})

export interface ScenarioModel {
  readonly swarm: SwarmModel
  readonly sessions: number
  readonly sessionsLater: number
}

export interface PeerGroup {
  readonly count: number
  readonly macsPerSecond: number
  readonly memoryBytes: number
  readonly region: string
}

export interface Scenario {
  readonly name: string
  readonly models: readonly ScenarioModel[]
  readonly groups: readonly PeerGroup[]
  readonly rttMs: { readonly within: number; readonly between: number }
}

const folder = new URL('../../test/sim/scenarios/', import.meta.url)

export const scenarioNames = readdirSync(folder)
  .filter((file) => file.endsWith('.json'))
  .map((file) => file.replace('.json', ''))

/** Throws where the file is no scenario, with the field at fault. */
export function loadScenario(name: string, size: Size): Scenario {
  const { models, peers, rttMs } = v.parse(schema, JSON.parse(readFileSync(new URL(`${name}.json`, folder), 'utf8')))
  return {
    name,
    models: models.map(({ id, config, types, sessions, sessionsLater = sessions }) => ({
      swarm: swarmModel(id, modelConfig(config), types),
      sessions: sessions[size],
      sessionsLater: sessionsLater[size],
    })),
    groups: peers.map((group) => ({ ...group, count: group.count[size] })),
    rttMs,
  }
}

function swarmModel(
  id: string,
  config: ModelConfig,
  [type, endsType]: Parameters<typeof manifestOf> extends [unknown, ...infer Types] ? Types : never,
): SwarmModel {
  const manifest = manifestOf(config, type, endsType)
  return {
    modelId: id as ModelId,
    manifestHash: '0'.repeat(64) as ManifestHash,
    name: id,
    weightBytes: manifest.fileBytes,
    costs: costsOf(manifest),
  }
}

/** What stages take the model for: its layers and context, over the arithmetic of the simulation. One object for each model. */
export function arithmeticConfig(costs: ModelCosts): ModelConfig {
  const known = configs.get(costs)
  if (known !== undefined) return known
  const { layerCount, contextLength } = costs
  const sizes = { headCount: 1, kvHeadCount: 1, headSize: ARITHMETIC_WIDTH, feedForwardWidth: ARITHMETIC_WIDTH }
  const config = modelConfig({ layerCount, contextLength, width: ARITHMETIC_WIDTH, vocabularySize: VOCABULARY, ...sizes })
  configs.set(costs, config)
  return config
}

const configs = new WeakMap<ModelCosts, ModelConfig>()
