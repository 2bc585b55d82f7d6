/** sim: a swarm in virtual time, from one seed: real core, driver, protocol and stages over modelled compute and links. */

export { Chance } from './chance.ts'
export type { Cheat } from './detection.ts'
export { type DetectionSummary, detectOften } from './detectionRuns.ts'
export type { Broken } from './invariants.ts'
export { Measures } from './measures.ts'
export { longRun, shortRun } from './presets.ts'
export { loadScenario, scenarioNames } from './scenario.ts'
export { type SimulationOptions, simulate } from './simulate.ts'
export { lieOften, type SpeedLieSummary } from './speedLies.ts'
export { throughputOf } from './throughput.ts'
