/** Composition root of the driver's thread: real clock, keys, sockets and WebRTC. Ends itself when it was told to close. */

import { parentPort } from 'node:worker_threads'
import { cleanup } from 'node-datachannel'
import { required } from '../shared/index.ts'
import type { FromDriver, ToDriver } from './messages.ts'
import { installRtcGlobals } from './rtcGlobals.ts'
import { ThreadDriver } from './threadDriver.ts'

installRtcGlobals()
const port = required(parentPort, 'a thread to be')
const say = (message: FromDriver) => port.postMessage(message)
const driver = await ThreadDriver.open(say, {
  nowMs: () => performance.timeOrigin + performance.now(),
  after(delayMs, callback) {
    const timer = setTimeout(callback, delayMs)
    return () => clearTimeout(timer)
  },
})
port.on('message', (message: ToDriver) => {
  void driver.handle(message).then((isClosed) => {
    if (!isClosed) return
    cleanup()
    port.close()
  })
})
