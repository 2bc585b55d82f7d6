/** cheats: engines that cheat, for tests, benchmarks and audits. Never part of a volunteer's tab. */

export { type CheatOptions, cheatingEngine, ENGINE_CHEATS, type EngineCheat, isOnlySent } from './cheats.ts'
export { PassingEngine } from './passingEngine.ts'
