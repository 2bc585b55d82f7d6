import { spawn } from 'node:child_process'
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { hostname, tmpdir } from 'node:os'
import path from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { tryLock } from './fileLock.ts'

let folder: string
let lock: string

beforeEach(() => {
  folder = mkdtempSync(path.join(tmpdir(), 'tabswarm-lock-'))
  lock = path.join(folder, 'lock')
})
afterEach(() => rmSync(folder, { recursive: true, force: true }))

const mark = (processId: number, startTime: string | null, hostName = hostname()) =>
  writeFileSync(lock, JSON.stringify({ processId, hostName, startTime, run: 'another' }))

describe('file lock', () => {
  it('is held by one, free after release, and leaves nothing beside it', async () => {
    const first = await tryLock(lock, 'living')
    expect(first.kind).toBe('held')
    expect(await tryLock(lock, 'living')).toMatchObject({ kind: 'taken', owner: { processId: process.pid } })
    if (first.kind === 'held') await first.release()
    expect((await tryLock(lock, 'living')).kind).toBe('held')
    expect(readdirSync(folder)).toEqual(['lock'])
  })

  it('of a living process is respected; of one that ended it is taken over', async () => {
    const child = spawn(process.execPath, ['-e', 'setInterval(() => {}, 1e6)'])
    mark(child.pid ?? 0, null)
    expect(await tryLock(lock, 'living')).toMatchObject({ kind: 'taken', owner: { processId: child.pid } })
    const ended = new Promise((resolve) => child.once('exit', resolve))
    child.kill('SIGKILL')
    await ended
    expect((await tryLock(lock, 'living')).kind).toBe('held')
  })

  it.runIf(process.platform === 'linux')('of an id that another process got since is taken over', async () => {
    const child = spawn(process.execPath, ['-e', 'setInterval(() => {}, 1e6)'])
    mark(child.pid ?? 0, '1')
    expect((await tryLock(lock, 'living')).kind).toBe('held')
    child.kill('SIGKILL')
  })

  it('of another computer is respected, unless the caller says that such owners do not matter', async () => {
    mark(1, null, 'elsewhere.invalid')
    expect(await tryLock(lock, 'living')).toMatchObject({ kind: 'taken', owner: { hostName: 'elsewhere.invalid' } })
    expect((await tryLock(lock, 'gone')).kind).toBe('held')
  })

  it('that is stale goes to one of many that want it', async () => {
    for (const stale of ['', 'garbage', `${process.pid} x`, '{"processId":2147483646}']) {
      writeFileSync(lock, stale)
      const attempts = await Promise.all(Array.from({ length: 8 }, () => tryLock(lock, 'living')))
      expect(attempts.filter(({ kind }) => kind === 'held')).toHaveLength(1)
      expect(JSON.parse(readFileSync(lock, 'utf8'))).toMatchObject({ processId: process.pid })
      rmSync(lock)
    }
  })
})
