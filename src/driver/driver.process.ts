/** Composition root of the driver's process: real clock, keys, sockets and WebRTC. Ends when it was told to close, and with the coordinator. */

import { installRtcGlobals } from '../node/rtc/index.ts'
import { type Clock, required } from '../shared/index.ts'
import { AskingDriver } from './askingDriver.ts'
import type { FromDriver, ToDriver } from './messages.ts'

const openSocket = installRtcGlobals('local')
const send = required(process.send?.bind(process), 'a coordinator that began this process')
// Who is told nothing any more has gone, and so does this.
const say = (message: FromDriver) => void send(message, undefined, undefined, () => undefined)
process.on('disconnect', () => process.exit())
const clock: Clock = {
  nowMs: () => performance.timeOrigin + performance.now(),
  after(delayMs, callback) {
    const timer = setTimeout(callback, delayMs)
    return () => clearTimeout(timer)
  },
}
const opening = AskingDriver.open({ say, clock, openSocket })
process.on('message', (message: ToDriver) => {
  void opening
    .then((driver) => driver.handle(message))
    .then((isClosed) => {
      if (isClosed) process.exit()
    })
})
// The coordinator's matter: it tells its driver to close.
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => undefined)
