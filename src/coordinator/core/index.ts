/** coordinator/core: registry, placement, admission. Pure: events in, effects out. */

export { CoordinatorCore, type CoreEffect, type CoreEvent, type CoreOptions } from './core.ts'
export { costsOf, type ModelCosts, type WeightForm } from './costs.ts'
export { CoordinatorError } from './errors.ts'
export { SESSIONS_PER_REQUESTER_MAX } from './limits.ts'
export { smallestPledgeBytes } from './placement.ts'
export type { SwarmModel } from './swarm.ts'
