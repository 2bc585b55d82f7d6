/**
 * AuditorProcess: the coordinator's own engine. Each audit has a process of its own, at low priority, so that neither its arithmetic nor its memory is in
 * the way of the coordinator, and all of it is given back when it ends. One at a time.
 */

import { fork } from 'node:child_process'
import { setPriority } from 'node:os'
import { fileURLToPath } from 'node:url'
import type { OwnEngine } from '../coordinator/audits/index.ts'
import type { AuditorRequest, OwnArithmetic } from '../coordinator/verification/index.ts'
import type { Manifest } from '../model/index.ts'
import type { AuditOrder } from '../protocol/index.ts'
import { type ModelId, SerialQueue, TabswarmError } from '../shared/index.ts'
import type { Replay } from './replay.ts'

export interface AuditorProcessOptions {
  /** Where the coordinator listens. */
  readonly origin: () => string
  readonly manifests: ReadonlyMap<ModelId, Manifest>
  readonly memoryBytes: number
  /** What those layers take, with all that a pass over so many positions needs. */
  readonly bytesOf: (request: AuditorRequest) => number
}

/** Under way or waiting; each keeps its rows in the coordinator's memory meanwhile, which bounds their bytes. */
const RUNS_MAX = 32
/** Of the reference, over the longest stretch that is audited of a model of a few hundred million weights; what takes longer is given up. */
const RUN_MS_MAX = 1_200_000
/** As `nice`. */
const PRIORITY = 10

export class AuditorProcess implements OwnEngine {
  readonly #options: AuditorProcessOptions
  readonly #queue = new SerialQueue()
  readonly #closing = new AbortController()
  #runs = 0

  constructor(options: AuditorProcessOptions) {
    this.#options = options
  }

  get memoryBytes(): number {
    return this.#options.memoryBytes
  }

  fits(request: AuditorRequest): boolean {
    const { manifests, memoryBytes, bytesOf } = this.#options
    return manifests.has(request.modelId) && bytesOf(request) <= memoryBytes
  }

  /** Rejects with a TabswarmError: `busy`, `unknown-model`, `stopped`, or `lost` where the process did not end by itself. */
  async run(order: AuditOrder, arithmetic: OwnArithmetic): Promise<void> {
    const manifest = this.#options.manifests.get(order.modelId)
    if (manifest === undefined) throw new TabswarmError('unknown-model', `there is no model ${order.modelId} here`)
    if (this.#runs >= RUNS_MAX) throw new TabswarmError('busy', `${RUNS_MAX} audits wait for the coordinator's own engine`)
    this.#runs++
    try {
      await this.#queue.run(() => this.#run({ order, arithmetic, manifest, origin: this.#options.origin() }))
    } finally {
      this.#runs--
    }
  }

  /** Resolves when no process is left. */
  async close(): Promise<void> {
    this.#closing.abort()
    await this.#queue.idle()
  }

  #run(told: Replay): Promise<void> {
    const { signal } = this.#closing
    return new Promise((resolve, reject) => {
      if (signal.aborted) return reject(new TabswarmError('stopped', 'the coordinator is shutting down'))
      const child = fork(fileURLToPath(new URL('../../bin/auditor.mjs', import.meta.url)), [], {
        execArgv: ['--no-warnings'],
        serialization: 'advanced',
        stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
        // Its own server's certificate may be its own; what comes is checked by the hashes of the manifest.
        env: { ...process.env, NODE_TLS_REJECT_UNAUTHORIZED: '0' },
      })
      const kill = () => void child.kill('SIGKILL')
      const timer = setTimeout(kill, RUN_MS_MAX)
      signal.addEventListener('abort', kill, { once: true })
      child.on('error', (error) => end(String(error)))
      child.on('exit', (code, by) => end(code === 0 ? null : `its process has ended with ${by ?? code}`))
      const end = (why: string | null) => {
        clearTimeout(timer)
        signal.removeEventListener('abort', kill)
        if (why === null) resolve()
        else reject(new TabswarmError('lost', why))
      }
      if (child.pid !== undefined) lowerPriority(child.pid)
      child.send(told)
    })
  }
}

function lowerPriority(pid: number): void {
  try {
    setPriority(pid, PRIORITY)
  } catch {
    // It has ended already, or the system has no priorities.
  }
}
