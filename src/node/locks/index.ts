/** node/locks: one process at a time. */

export { type ForeignOwners, type LockAttempt, type LockOwner, tryLock } from './fileLock.ts'
