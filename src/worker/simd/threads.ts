/** How many threads a tab computes with where it has no GPU. */

/** More bring little, as memory is what decode waits for, and are somebody's foreground programs. */
const THREADS_MAX = 8
/** Up to so many cores the tab takes all: half of two is one. */
const SMALL_MACHINE_CORES = 2

/** Half of a machine's cores, which are often two threads each; one where the page is not isolated: shared memory needs that. */
export function threadCount({ cores, isolated }: { readonly cores: number; readonly isolated: boolean }): number {
  if (!isolated) return 1
  return cores <= SMALL_MACHINE_CORES ? Math.max(1, cores) : Math.min(THREADS_MAX, Math.ceil(cores / 2))
}
