/**
 * How threads share a job. Bytes 0 to 1023 of the memory are the control block; the host writes a job's arguments there and calls
 * `run`. Every thread takes chunks off one counter, and a thread that comes late finds none left: nobody waits for a thread that the machine
 * has put aside, unless it holds a chunk.
 *
 * The counter is (generation << 32) + (chunks << 16) + next chunk. A thread takes a chunk by exchanging the counter that it saw: it has
 * one of that job then, whose arguments stay until the chunk is done. A job that is over has no chunks, so that arguments may change.
 */

import { ARGUMENTS, itemsAtOnce } from './arguments'
import { work } from './work'

/** i64. Each word that several threads write has a cache line of its own. */
const COUNTER: usize = 64
/** Chunks of the job that are computed. */
const DONE: usize = 128
/** Rises with each job; helpers sleep on it. */
const WAKE: usize = 192
const SLEEPERS: usize = 256
/** 1 while the thread that called `run` sleeps on DONE. */
const CALLER_SLEEPS: usize = 320
const STOPPED: usize = 384

/** Looks at a word before a helper goes to sleep: longer than the host takes between two jobs of a pass. */
const HELPER_SPINS: i32 = 20_000
const CALLER_SPINS: i32 = 4_000
/** Nanoseconds; a wake-up that was missed costs no more. */
const CALLER_SLEEP: i64 = 500_000

/** Computes the job whose arguments are written; returns when all of it is done. */
export function runJob(): void {
  const size = itemsAtOnce()
  const chunks = (load<i32>(ARGUMENTS + 4) + size - 1) / size
  if (chunks === 1) {
    runChunk(0, 0)
    return
  }
  atomic.store<i32>(DONE, 0)
  const generation = (atomic.load<i64>(COUNTER) >> 32) + 1
  atomic.store<i64>(COUNTER, (generation << 32) + ((<i64>chunks) << 16))
  atomic.add<i32>(WAKE, 1)
  if (atomic.load<i32>(SLEEPERS) > 0) atomic.notify(WAKE, -1)
  takeChunks(0)
  for (let spins = 0; atomic.load<i32>(DONE) < chunks; spins++) {
    if (spins < CALLER_SPINS) continue
    atomic.store<i32>(CALLER_SLEEPS, 1)
    const done = atomic.load<i32>(DONE)
    if (done < chunks) atomic.wait<i32>(DONE, done, CALLER_SLEEP)
    atomic.store<i32>(CALLER_SLEEPS, 0)
  }
}

/** A helper's life: it returns when the host stops it. */
export function serveJobs(thread: i32): void {
  while (!atomic.load<i32>(STOPPED)) {
    const wake = atomic.load<i32>(WAKE)
    takeChunks(thread)
    let spins = 0
    while (atomic.load<i32>(WAKE) === wake && spins < HELPER_SPINS) spins++
    if (spins < HELPER_SPINS) continue
    atomic.add<i32>(SLEEPERS, 1)
    atomic.wait<i32>(WAKE, wake, -1)
    atomic.sub<i32>(SLEEPERS, 1)
  }
}

/** Sends helpers home, now or when they come. */
export function stopHelpers(): void {
  atomic.store<i32>(STOPPED, 1)
  atomic.add<i32>(WAKE, 1)
  atomic.notify(WAKE, -1)
}

function takeChunks(thread: i32): void {
  for (;;) {
    const counter = atomic.load<i64>(COUNTER)
    const chunk = <i32>(counter & 0xffff)
    const chunks = <i32>((counter >> 16) & 0xffff)
    if (chunk >= chunks) return
    if (atomic.cmpxchg<i64>(COUNTER, counter, counter + 1) !== counter) continue
    runChunk(chunk, thread)
    const done = atomic.add<i32>(DONE, 1) + 1
    if (done === chunks && atomic.load<i32>(CALLER_SLEEPS)) atomic.notify(DONE, 1)
  }
}

function runChunk(chunk: i32, thread: i32): void {
  const items = load<i32>(ARGUMENTS + 4)
  const size = itemsAtOnce()
  const first = chunk * size
  work(load<i32>(ARGUMENTS), first, min(first + size, items), thread)
}
