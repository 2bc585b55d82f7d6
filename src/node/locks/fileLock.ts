/**
 * One process at a time: a lock file that names its owner. The lock of a process that is gone is taken over; a process id alone would not tell,
 * since ids are used again, so its start time, its computer and a mark of its run are written beside it.
 */

import { randomUUID } from 'node:crypto'
import { link, readFile, rename, rm, stat, writeFile } from 'node:fs/promises'
import { hostname } from 'node:os'
import { setTimeout as sleep } from 'node:timers/promises'

export interface LockOwner {
  readonly processId: number
  readonly hostName: string
}

export type LockAttempt = { readonly kind: 'held'; release(): Promise<void> } | { readonly kind: 'taken'; readonly owner: LockOwner }

/** Whether an owner on another computer (or in another container) counts as living: this one cannot see its processes. */
export type ForeignOwners = 'living' | 'gone'

interface Mark extends LockOwner {
  /** Of the process, in the kernel's units since boot; null where the system does not tell. */
  readonly startTime: string | null
  readonly run: string
}

const run = randomUUID()
const ATTEMPTS_MAX = 1_000
const TAKEOVER_POLL_MS = 20
/** A takeover is three system calls; a guard this old was left by a process that died between them. */
const GUARD_MAX_MS = 10_000

/** Takes the lock at `path`, or tells who has it. Rejects only where the folder cannot be written. */
export async function tryLock(path: string, foreign: ForeignOwners): Promise<LockAttempt> {
  const own: Mark = { processId: process.pid, hostName: hostname(), startTime: await startTimeOf(process.pid), run }
  const text = JSON.stringify(own)
  const draft = `${path}.${randomUUID()}`
  await writeFile(draft, text)
  try {
    for (let attempt = 0; attempt < ATTEMPTS_MAX; attempt++) {
      // A link exists with its contents or not at all.
      if (await done(link(draft, path), 'EEXIST')) return { kind: 'held', release: () => releaseOwn(path, text) }
      const found = await readFile(path, 'utf8').catch(() => null)
      if (found === null) continue
      const owner = parseMark(found)
      if (owner !== null && (await isLiving(owner, foreign))) return { kind: 'taken', owner }
      if (await takeOver(path, found, draft)) return { kind: 'held', release: () => releaseOwn(path, text) }
      await sleep(TAKEOVER_POLL_MS)
    }
    return { kind: 'taken', owner: { processId: 0, hostName: hostname() } }
  } finally {
    await rm(draft, { force: true })
  }
}

async function releaseOwn(path: string, text: string): Promise<void> {
  if ((await readFile(path, 'utf8').catch(() => null)) === text) await rm(path, { force: true })
}

/** Of several that find the same stale lock, one has the guard at a time; it puts its own lock in the place of the stale one in one step. */
async function takeOver(path: string, found: string, draft: string): Promise<boolean> {
  const guard = `${path}.takeover`
  if (!(await done(link(draft, guard), 'EEXIST'))) {
    const { mtimeMs } = await stat(guard).catch(() => ({ mtimeMs: Date.now() }))
    if (Date.now() - mtimeMs > GUARD_MAX_MS) await rm(guard, { force: true })
    return false
  }
  try {
    if ((await readFile(path, 'utf8').catch(() => null)) !== found) return false
    await rename(draft, path)
    return true
  } finally {
    await rm(guard, { force: true })
  }
}

function parseMark(text: string): Mark | null {
  try {
    const { processId, hostName, startTime, run } = JSON.parse(text)
    if (Number.isSafeInteger(processId) && processId > 0 && typeof hostName === 'string') return { processId, hostName, startTime, run }
  } catch {
    // Of another version, or no lock at all.
  }
  return null
}

async function isLiving(owner: Mark, foreign: ForeignOwners): Promise<boolean> {
  if (owner.hostName !== hostname()) return foreign === 'living'
  if (owner.processId === process.pid) return owner.run === run
  if (!exists(owner.processId)) return false
  const startTime = await startTimeOf(owner.processId)
  return startTime === null || owner.startTime === null || startTime === owner.startTime
}

function exists(processId: number): boolean {
  try {
    process.kill(processId, 0)
    return true
  } catch (error) {
    // EPERM: it lives, and belongs to somebody else.
    return hasCode(error, 'EPERM')
  }
}

/** Field 22 of /proc/PID/stat, behind the name in parentheses that may hold anything. */
async function startTimeOf(processId: number): Promise<string | null> {
  const stat = await readFile(`/proc/${processId}/stat`, 'utf8').catch(() => null)
  return stat?.slice(stat.lastIndexOf(')') + 2).split(' ')[19] ?? null
}

/** False when `work` fails with this code. */
async function done(work: Promise<void>, code: string): Promise<boolean> {
  try {
    await work
    return true
  } catch (error) {
    if (hasCode(error, code)) return false
    throw error
  }
}

function hasCode(error: unknown, code: string): boolean {
  return error instanceof Error && 'code' in error && error.code === code
}
