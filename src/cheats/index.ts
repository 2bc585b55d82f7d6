/** cheats: engines that cheat, for tests, benchmarks and audits. Never part of a volunteer's tab. */

export { boasted, SPEED_LIES, type SpeedLie } from './boastingEngine.ts'
export { CHEATS, type Cheat, type CheatOptions, cheatingEngine, ENGINE_CHEATS, type EngineCheat, isOnlySent, isSpeedLie } from './cheats.ts'
export { COLLUSION_PATH, Collusion, confidingFetch, vouchingFetch } from './collusion.ts'
export { PassingEngine } from './passingEngine.ts'
export { ReplayedReceipts } from './replayedReceipts.ts'
