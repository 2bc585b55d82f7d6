/** coordinator/server: HTTP, control sockets and signalling around the core. Node only. */

export type { ServedModel } from './modelRoutes.ts'
export type { PathOptions, TurnOptions } from './paths.ts'
export { type Coordinator, type CoordinatorEconomy, type CoordinatorOptions, startCoordinator } from './startCoordinator.ts'
export { serveWebSite, type WebSite } from './webSite.ts'
