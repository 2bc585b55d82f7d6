/**
 * Dawn's package for Node waits by asking over and over in the event loop, which takes a whole core. A software adapter needs that
 * core: on two cores lavapipe computes 1.7 times as much when the loop rests between its questions. To be deleted when the
 * package `webgpu` waits without spinning (seen in 0.6.2).
 */

/** Waits up to this length stay as quick as they were. */
const SPIN_MS = 2
/** Delays the end of a longer wait by half of it. */
const REST_MS = 0.2

/** Makes waits for the GPU rest: this process's, whatever the device. */
export function calmWaits(): void {
  const queue = GPUQueue.prototype
  const done = queue.onSubmittedWorkDone
  queue.onSubmittedWorkDone = function (this: GPUQueue) {
    return restUntil(done.call(this))
  }
  const buffer = GPUBuffer.prototype
  const map = buffer.mapAsync
  buffer.mapAsync = function (this: GPUBuffer, ...range) {
    return restUntil(map.apply(this, range))
  }
}

const cell = new Int32Array(new SharedArrayBuffer(4))
let waiting = 0
/** When the oldest of the present waits began. */
let sinceMs = 0

function restUntil<T>(promise: Promise<T>): Promise<T> {
  if (waiting++ === 0) {
    sinceMs = performance.now()
    setImmediate(rest)
  }
  return promise.finally(() => {
    waiting--
  })
}

/** Once a turn of the event loop, so that whatever else is due comes first. */
function rest(): void {
  if (waiting === 0) return
  if (performance.now() - sinceMs > SPIN_MS) Atomics.wait(cell, 0, 0, REST_MS)
  setImmediate(rest)
}
