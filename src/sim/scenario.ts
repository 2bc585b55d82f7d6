/** Standard scenarios of the simulation: who pledges what, which models are wanted by how many, how far apart all are. Files in scenarios/. */

import { readdirSync, readFileSync } from 'node:fs'
import { costsOf, type ModelCosts, placeChain, type SwarmModel } from '../coordinator/core/index.ts'
import type { ModelConfig } from '../model/index.ts'
import type { ManifestHash, ModelId, PeerId } from '../shared/index.ts'
import { ARITHMETIC_WIDTH } from './arithmetic.ts'
import { manifestOf, modelConfig } from './modelConfig.ts'
import { VOCABULARY } from './modelEngine.ts'
import { badScenario, parseScenario, type ScenarioFile, SIZES, type Size } from './scenarioFile.ts'

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

export const scenarioNames: readonly string[] = readdirSync(folder)
  .filter((file) => file.endsWith('.json'))
  .map((file) => file.replace('.json', ''))
  .sort()

/** Of a model on a peer of average speed: slower ones answer nobody within the deadlines of a session. */
const TOKEN_SECONDS_MAX = 1

/** A standard scenario by its name, or one in a file. Throws where there is none, or a TabswarmError `bad-scenario` with the field at fault. */
export function loadScenario(name: string, size: Size): Scenario {
  const file = parseScenario(readFileSync(scenarioNames.includes(name) ? new URL(`${name}.json`, folder) : name, 'utf8'))
  const models = file.models.map(({ id, config, types, sessions, sessionsLater = sessions }) => ({
    swarm: swarmModel(id, modelConfig(config), types),
    sessions: sessions[size],
    sessionsLater: sessionsLater[size],
  }))
  for (const [index, { swarm }] of models.entries()) for (const each of SIZES) checkHome(file.peers, each, swarm, index)
  return { name, models, groups: file.peers.map((group) => ({ ...group, count: group.count[size] })), rttMs: file.rttMs }
}

/** All peers together must hold the model, and be fast enough for it. */
function checkHome(peers: ScenarioFile['peers'], size: Size, { modelId, costs }: SwarmModel, index: number): void {
  const capacities = peers.flatMap(({ count, memoryBytes, macsPerSecond }) =>
    Array.from({ length: count[size] }, () => ({ peerId: '' as PeerId, memoryBytes, macsPerSecond, weightForm: 'blocks' as const })),
  )
  const speed = capacities.reduce((sum, { macsPerSecond }) => sum + macsPerSecond, 0) / capacities.length
  const seconds = (costs.layerCount * costs.macsPerLayer + costs.headMacs) / speed
  if (seconds > TOKEN_SECONDS_MAX)
    throw badScenario(
      'peers.0.macsPerSecond',
      `and the others': a token of models.${index} (${modelId}) takes ${seconds.toPrecision(2)} s at the average of ${size}; allowed is ${TOKEN_SECONDS_MAX} s`,
    )
  if (placeChain(costs, capacities, 1) === null)
    throw badScenario(
      'peers.0.memoryBytes',
      `and the others': the ${capacities.length} of ${size} cannot hold models.${index} (${modelId}) together; allowed is as much as a chain of them needs`,
    )
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
