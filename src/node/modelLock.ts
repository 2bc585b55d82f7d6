/** One process at a time pulls a file; others wait until it has. */

import { setTimeout as sleep } from 'node:timers/promises'
import { ModelError } from '../model/index.ts'
import { tryLock } from './locks/index.ts'

const POLL_MS = 250
/** The longest that another process may pull: 30 minutes for 98 MB is 55 KB/s. */
const WAIT_MAX_MS = 30 * 60_000

/** Runs `work` alone. `onWait` is called once if another process has the lock. */
export async function withLock<T>(
  path: string,
  signal: AbortSignal,
  onWait: (processId: number) => void,
  work: () => Promise<T>,
): Promise<T> {
  const deadline = Date.now() + WAIT_MAX_MS
  let waited = false
  for (;;) {
    // Two that pull one file do no harm: a container that has gone must not stop others.
    const attempt = await tryLock(path, 'gone')
    if (attempt.kind === 'held') {
      try {
        return await work()
      } finally {
        await attempt.release()
      }
    }
    if (signal.aborted) throw new ModelError('aborted', 'pulling the model was stopped')
    if (Date.now() > deadline)
      throw new ModelError('download-failed', `another process holds ${path} for too long; end it, or delete that file`)
    if (!waited) onWait(attempt.owner.processId)
    waited = true
    await sleep(POLL_MS)
  }
}
