/** Scenarios of users are refused before anything runs: with the field's path, what is wrong with it, and what is allowed. */

import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'
import { loadScenario, scenarioNames } from '../../../src/sim/scenario.ts'
import { parseScenario } from '../../../src/sim/scenarioFile.ts'

const uniform: unknown = JSON.parse(readFileSync('test/sim/scenarios/uniform.json', 'utf8'))

/** The uniform scenario with another value at a path; undefined: without the field. */
function changed(path: string, value: unknown): string {
  const copy = structuredClone(uniform)
  const keys = path.split('.')
  let at = copy as Record<string, unknown>
  for (const key of keys.slice(0, -1)) at = at[key] as Record<string, unknown>
  at[keys.at(-1) ?? ''] = value
  return JSON.stringify(copy)
}

const [model] = (uniform as { models: { sessions: unknown }[] }).models
const [group] = (uniform as { peers: { count: unknown }[] }).peers

describe('a scenario', () => {
  const folder = mkdtempSync(join(tmpdir(), 'scenario-'))
  afterAll(() => rmSync(folder, { recursive: true }))

  it.each(scenarioNames)('%s is allowed', (name) => {
    expect(loadScenario(name, 'few').models.length).toBeGreaterThan(0)
  })

  it.each([
    ['about', undefined, 'about: is missing; it must be there'],
    ['about', 3, 'about: is 3; it must be a text'],
    ['foo', 1, 'foo: is not known; known are about, models, peers, rttMs'],
    ['models', [], 'models: has 0 entries; allowed are 1 to 8'],
    ['models', {}, 'models: is Object; it must be a list'],
    ['models', [model, model], 'models.1.id: is "llama-1b", as models.0.id is'],
    ['models.0.id', '', 'models.0.id: is ""; allowed are names'],
    ['models.0.config.layerCount', 0, 'models.0.config.layerCount: is 0; allowed are whole numbers from 1 to 128'],
    ['models.0.config.layerCount', 100_000, 'models.0.config.layerCount: is 100000; allowed are whole numbers from 1 to 128'],
    ['models.0.config.layerCount', 1.5, 'models.0.config.layerCount: is 1.5; allowed are whole numbers'],
    ['models.0.config.width', 0, 'models.0.config.width: is 0; allowed are whole numbers from 1'],
    ['models.0.config.width', 100, 'models.0.config.width: is 100; allowed are multiples of 32, a block of Q4_0'],
    ['models.0.config.headCount', 7, 'models.0.config.headCount: is 7; allowed are multiples of 8, the heads of KV'],
    ['models.0.config.headSize', 63, 'models.0.config.headSize: is 63; allowed are multiples of 2'],
    ['models.0.config.vocabularySize', 0, 'models.0.config.vocabularySize: is 0; allowed are whole numbers from 1'],
    ['models.0.config.contextLength', 10, 'models.0.config.contextLength: is 10; allowed are whole numbers from 628'],
    ['models.0.types', ['Q9', 'Q8_0'], 'models.0.types.0: is "Q9"; allowed are F32, F16'],
    ['models.0.types', ['Q4_0'], 'models.0.types.1: is undefined; allowed are F32, F16'],
    ['models.0.sessions', { few: 0, many: 0 }, 'models.0.sessions.few: is 0 as in all models; allowed is 1 or more'],
    ['models.0.sessionsLater', { few: 1, many: 0 }, 'models.0.sessionsLater.many: is 0 as in all models'],
    ['peers', Array.from({ length: 17 }, () => group), 'peers: has 17 entries; allowed are 1 to 16'],
    ['peers', Array.from({ length: 9 }, (_, at) => ({ ...group, region: `${at}` })), 'peers: are 9 groups in 9 regions for 16 layers'],
    ['peers.0.count.few', 0, 'peers.0.count.few: is 0 as in all groups; allowed is 1 or more'],
    ['peers.0.count.many', 1e8, 'peers.0.count.many: is 100000000; allowed are whole numbers from 0 to 1000'],
    ['peers.0.macsPerSecond', 1, 'peers.0.macsPerSecond: is 1; allowed are numbers from 100000000'],
    ['peers.0.macsPerSecond', 1e9, "peers.0.macsPerSecond: and the others': a token of models.0 (llama-1b) takes 1.2 s"],
    ['peers.0.memoryBytes', 0, 'peers.0.memoryBytes: is 0; allowed are whole numbers from 1'],
    ['peers.0.memoryBytes', 1e8, "peers.0.memoryBytes: and the others': the 11 of few cannot hold models.0 (llama-1b) together"],
    ['peers.0.region', ' ', 'peers.0.region: is " "; allowed are names that are not empty'],
    ['rttMs.within', -20, 'rttMs.within: is -20; allowed are numbers from 0 to 500'],
    ['rttMs.between', 1e12, 'rttMs.between: is 1000000000000; allowed are numbers from 0 to 500'],
    ['rttMs.between', undefined, 'rttMs.between: is missing'],
  ])('with %s = %j is refused', (path, value, message) => {
    const file = join(folder, 'scenario.json')
    writeFileSync(file, changed(path, value))
    expect(() => loadScenario(file, 'few')).toThrow(message)
    expect(() => loadScenario(file, 'many')).toThrow(expect.objectContaining({ reason: 'bad-scenario' }))
  })

  it.each([
    ['', 'the file: is not JSON'],
    ['null', 'the file: is null; it must be there'],
    ['[]', 'about: is missing'],
  ])('of the text %j is refused', (text, message) => {
    expect(() => parseScenario(text)).toThrow(message)
  })

  it('may name its regions as it likes', () => {
    expect(parseScenario(changed('peers.0.region', 'eu-west + "x" >= 3')).peers[0]?.region).toBe('eu-west + "x" >= 3')
  })
})
