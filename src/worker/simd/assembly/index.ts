/**
 * The kernels of a tab without a GPU: AssemblyScript, compiled with SIMD, once with threads and once without (docs/decisions). The host lays out
 * memory and gives every operation its arguments as 32-bit words; f32 arguments travel as their bits. Only operations that every machine
 * computes alike are used, so that equal versions give equal bits everywhere.
 */

import { runJob, serveJobs, stopHelpers } from './control'

/** Computes the job in the control block, with whatever helpers are there. */
export function run(): void {
  runJob()
}

/** A helper's life; `thread` from 1. Returns after `stop`. */
export function serve(thread: i32): void {
  serveJobs(thread)
}

export function stop(): void {
  stopHelpers()
}
