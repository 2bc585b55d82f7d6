/** driver: what answers the gateway's clients: a peer that asks, in a process of its own. Node only. */

export { DriverProcess } from './driverProcess.ts'
export type { DriverModel } from './messages.ts'
