/** driver: what answers the gateway's clients: a peer that asks, in a thread of the coordinator's process. Node only. */

export { DriverThread } from './driverThread.ts'
export type { DriverModel } from './messages.ts'
