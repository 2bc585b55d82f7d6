/** A TURN server of this machine (coturn), for tests that only run where it is installed. */

import { spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { createSocket, type Socket } from 'node:dgram'
import { accessSync, constants } from 'node:fs'
import path from 'node:path'
import { lanAddresses } from '../../src/node/index.ts'
import type { TurnOptions } from '../../src/server.ts'

export interface TurnServer extends TurnOptions {
  close(): void
}

const READY_MS = 10_000

/** Why there is none here, or null. With TURN_REQUIRED=1 that is an error: so a machine that has one cannot skip in silence. */
export function turnObstacle(): string | null {
  const obstacle =
    executable() === null
      ? 'no turnserver is installed (Debian: coturn)'
      : lanAddresses().find(isIpv4) === undefined
        ? 'this machine has no address but its own'
        : null
  if (obstacle !== null && process.env.TURN_REQUIRED === '1') throw new Error(`TURN_REQUIRED=1, and ${obstacle}`)
  return obstacle
}

/** On this machine's address and a free port; resolves when it answers. */
export async function startTurnServer(): Promise<TurnServer> {
  const [file, address] = [executable(), lanAddresses().find(isIpv4)]
  if (file === null || address === undefined) throw new Error('ask turnObstacle first')
  const port = await freePort(address)
  const secret = randomBytes(16).toString('hex')
  const server = spawn(
    file,
    [
      ['-n', '--no-cli', '--no-tls', '--no-dtls', '--log-file=stdout', '--pidfile=/dev/null', '--realm=tabswarm', '--use-auth-secret'],
      [`--listening-ip=${address}`, `--relay-ip=${address}`, `--listening-port=${port}`, `--static-auth-secret=${secret}`],
    ].flat(),
    { stdio: 'ignore' },
  )
  const close = () => void server.kill('SIGKILL')
  try {
    await whenAnswering(address, port)
  } catch (error) {
    close()
    throw error
  }
  return { urls: [`turn:${address}:${port}`], secret, close }
}

function executable(): string | null {
  const places = (process.env.PATH ?? '').split(path.delimiter).map((folder) => path.join(folder, 'turnserver'))
  const isExecutable = (file: string) => {
    try {
      accessSync(file, constants.X_OK)
      return true
    } catch {
      return false
    }
  }
  return places.find(isExecutable) ?? null
}

function isIpv4(address: string): boolean {
  return /^[\d.]+$/.test(address)
}

async function freePort(address: string): Promise<number> {
  const socket = createSocket('udp4')
  await new Promise<void>((resolve) => socket.bind(0, address, resolve))
  const { port } = socket.address()
  await new Promise<void>((resolve) => socket.close(() => resolve()))
  return port
}

/** A STUN binding request of no attributes (RFC 8489) every tenth of a second, until anything comes back. */
async function whenAnswering(address: string, port: number): Promise<void> {
  const request = Buffer.concat([Buffer.from('000100002112a442', 'hex'), randomBytes(12)])
  const socket: Socket = createSocket('udp4')
  socket.on('error', () => undefined)
  let answered = false
  socket.on('message', () => {
    answered = true
  })
  const endMs = Date.now() + READY_MS
  while (!answered && Date.now() < endMs) {
    socket.send(request, port, address)
    await new Promise((resolve) => setTimeout(resolve, 100))
  }
  socket.close()
  if (!answered) throw new Error(`turnserver did not answer within ${READY_MS / 1_000} s`)
}
