/**
 * Collusion: a stage that cheats, and an accomplice that serves the same layers under another account. What the stage hands over when it is audited
 * it tells its accomplice beside; whose input the accomplice is asked to compute, it answers for with the very rows that the stage sent. In all
 * else the accomplice is honest, so nothing but its word for the stage speaks against it.
 */

/** At the page's own origin: the only one that a page may reach. Nobody is there but for whoever has these two tabs in hand. */
export const COLLUSION_PATH = '/collusion'

/** Logs that are remembered: a stage is audited once at a time. */
const LOGS_MAX = 16

/** What colluders tell each other: rows that were handed over, as they travel (protocol/auditRows.ts). */
export class Collusion {
  readonly #logs: Uint8Array[] = []

  tell(log: Uint8Array): void {
    this.#logs.push(log)
    if (this.#logs.length > LOGS_MAX) this.#logs.shift()
  }

  /** The answer to an auditor's task that makes its result the stage's own; null: of whom it is, nobody knows here. */
  answerTo(task: Uint8Array): Uint8Array<ArrayBuffer> | null {
    for (const log of this.#logs.toReversed()) {
      const answer = outputOf(log, task)
      if (answer !== null) return answer
    }
    return null
  }
}

type Fetch = (url: string, init?: RequestInit) => Promise<Response>

/** A cheating stage's: what it brings the coordinator without having been given anything first is its log. */
export function confidingFetch(fetch: Fetch): Fetch {
  const tasks = new Set<string>()
  return async (url, init) => {
    if (init?.method === 'GET') tasks.add(url)
    if (init?.method === 'PUT' && !tasks.delete(url)) await fetch(COLLUSION_PATH, { method: 'PUT', body: init.body ?? null })
    return fetch(url, init)
  }
}

/** Its accomplice's. */
export function vouchingFetch(fetch: Fetch): Fetch {
  const answers = new Map<string, ArrayBuffer>()
  return async (url, init) => {
    const answer = answers.get(url)
    answers.delete(url)
    if (init?.method === 'PUT' && answer !== undefined) return fetch(url, { ...init, body: answer })
    const response = await fetch(url, init)
    if (init?.method !== 'GET' || !response.ok) return response
    const told = await fetch(COLLUSION_PATH, { method: 'POST', body: await response.clone().arrayBuffer() })
    if (told.status === 200) answers.set(url, await told.arrayBuffer())
    return response
  }
}

const MAGIC_BYTES = 4
const TABLE_HEADER_BYTES = 8
const GIVEN = 4

/** `log`'s output behind an empty input, if the input is the one of `task`, and as many rows are wanted. */
function outputOf(log: Uint8Array, task: Uint8Array): Uint8Array<ArrayBuffer> | null {
  const [own, wanted] = [inputEnd(log), inputEnd(task)]
  if (own === null || own !== wanted || own + 4 > task.byteLength || rowsAt(log, own) !== rowsAt(task, own)) return null
  for (let at = 0; at < own; at++) if (log[at] !== task[at]) return null
  const answer = new Uint8Array(MAGIC_BYTES + TABLE_HEADER_BYTES + log.byteLength - own)
  answer.set(log.subarray(0, MAGIC_BYTES))
  answer.set(log.subarray(own), MAGIC_BYTES + TABLE_HEADER_BYTES)
  return answer
}

function rowsAt(bytes: Uint8Array, at: number): number {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength).getUint32(at, true)
}

/** Where the table of the output begins; null: it breaks off before. */
function inputEnd(bytes: Uint8Array): number | null {
  const flagsAt = MAGIC_BYTES + TABLE_HEADER_BYTES
  if (bytes.byteLength < flagsAt) return null
  const [rows, rowBytes] = [rowsAt(bytes, MAGIC_BYTES), rowsAt(bytes, MAGIC_BYTES + 4)]
  const flags = bytes.subarray(flagsAt, flagsAt + rows)
  const end = flagsAt + rows + rowBytes * flags.filter((flag) => (flag & GIVEN) !== 0).length
  return end + TABLE_HEADER_BYTES <= bytes.byteLength ? end : null
}
