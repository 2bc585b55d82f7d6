/** Devices of an account in words. */

import type { DeviceState } from '../../peer/index.ts'
import { formatDay } from '../format.ts'

export function deviceName({ name }: Pick<DeviceState, 'name'>): string {
  return name === '' ? 'A device without a name' : name
}

/** `Has this account since 4 January 2027; open now.` */
export function describeDevice({ addedAtMs, seenAtMs, isConnected }: Pick<DeviceState, 'addedAtMs' | 'seenAtMs' | 'isConnected'>): string {
  return `Has this account since ${formatDay(addedAtMs)}; ${isConnected ? 'open now' : `last seen on ${formatDay(seenAtMs)}`}.`
}
