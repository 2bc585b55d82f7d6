/**
 * One process at a time for one file: a lock file that holds the owner's process id, and a mark of its run, since containers
 * give the same ids again. A lock whose owner is gone is taken over.
 */

import { randomUUID } from 'node:crypto'
import { open, readFile, rm, stat } from 'node:fs/promises'
import { setTimeout as sleep } from 'node:timers/promises'
import { ModelError } from '../model/index.ts'

const POLL_MS = 250
/** A lock without a readable owner, older than this, was left by a process that died between two system calls. */
const OWNERLESS_MS = 10_000
/** The longest that another process may pull: 30 minutes for 98 MB is 55 KB/s. */
const WAIT_MAX_MS = 30 * 60_000
/** Two processes may take over one stale lock at once; the later write wins, and the other sees it after this pause. */
const SETTLE_MS = 50

/** Between the making of a lock and the writing of its owner. */
const UNKNOWN_OWNER = 0
const run = randomUUID()
const ownMark = `${process.pid} ${run}`

/** Runs `work` alone. `onWait` is called once if another process has the lock. */
export async function withLock<T>(
  path: string,
  signal: AbortSignal,
  onWait: (processId: number) => void,
  work: () => Promise<T>,
): Promise<T> {
  const deadline = Date.now() + WAIT_MAX_MS
  let waited = false
  while (!(await tryLock(path))) {
    if (signal.aborted) throw new ModelError('aborted', 'pulling the model was stopped')
    if (Date.now() > deadline)
      throw new ModelError('download-failed', `another process holds ${path} for too long; end it, or delete that file`)
    const owner = await ownerOf(path)
    if (owner === 'gone') await rm(path, { force: true })
    else if (owner !== null) {
      if (!waited) onWait(owner)
      waited = true
      await sleep(POLL_MS)
    }
  }
  try {
    return await work()
  } finally {
    await rm(path, { force: true })
  }
}

async function tryLock(path: string): Promise<boolean> {
  try {
    const handle = await open(path, 'wx')
    await handle.writeFile(ownMark)
    await handle.close()
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'EEXIST') return false
    throw error
  }
  await sleep(SETTLE_MS)
  return (await readFile(path, 'utf8').catch(() => '')) === ownMark
}

/** The living owner's process id, `gone` for a stale lock, null when the lock has just vanished. */
async function ownerOf(path: string): Promise<number | 'gone' | null> {
  const text = await readFile(path, 'utf8').catch(() => null)
  if (text === null) return null
  const match = /^(\d+) (\S+)$/.exec(text)
  const processId = Number(match?.[1])
  if (match === null) {
    const { mtimeMs } = await stat(path).catch(() => ({ mtimeMs: Date.now() }))
    return Date.now() - mtimeMs > OWNERLESS_MS ? 'gone' : UNKNOWN_OWNER
  }
  if (processId === process.pid) return match[2] === run ? processId : 'gone'
  return isAlive(processId) ? processId : 'gone'
}

function isAlive(processId: number): boolean {
  try {
    process.kill(processId, 0)
    return true
  } catch (error) {
    // EPERM: it lives, and belongs to somebody else.
    return error instanceof Error && 'code' in error && error.code === 'EPERM'
  }
}
