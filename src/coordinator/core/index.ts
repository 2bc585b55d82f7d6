/** coordinator/core: registry, placement, admission. Pure: events in, effects out. */

export { CoordinatorCore, type CoreOptions } from './core.ts'
export { costsOf, heldBytes, type ModelCosts, type WeightForm } from './costs.ts'
export { CoordinatorError } from './errors.ts'
export type { CoreEffect, CoreEvent, MayServe, SessionEvent } from './events.ts'
export { AWAY_AFTER_MS, KV_BLOCK_POSITIONS, SESSIONS_PER_REQUESTER_MAX, UNHELD_MS } from './limits.ts'
export { Paces } from './paces.ts'
export { type Capacity, joinSpans, placeChain, smallestPledgeBytes } from './placement.ts'
export { uncovered } from './route.ts'
export type { Spare } from './spares.ts'
export type { SwarmModel } from './swarm.ts'
export { type Rate, rateOf, TokenBucket, TokenBuckets } from './tokenBucket.ts'
