/** What colluders bring in the place of what was computed: through the real rows of audits, and a coordinator that is a map. */

import { describe, expect, it } from 'vitest'
import { type AuditRow, type AuditTable, decodeAuditRows, encodeAuditRows } from '../protocol/index.ts'
import { COLLUSION_PATH, Collusion, confidingFetch, vouchingFetch } from './collusion.ts'

const WIDTH = 4

function table(rowBytes: number, rows: readonly (number | null)[]): AuditTable {
  const row = (value: number | null): AuditRow => ({
    kind: 'decode',
    given: value !== null,
    bytes: new Uint8Array(value === null ? 0 : rowBytes).fill(value ?? 0),
  })
  return { rowBytes, rows: rows.map(row) }
}

/** Outputs are asked for without bytes, and the first one not at all. */
const taskOf = (input: readonly number[]) =>
  encodeAuditRows({ input: table(WIDTH, input), output: table(0, [null, ...input.slice(1).map(() => 0)]) })
const logOf = (input: readonly number[], output: readonly (number | null)[]) =>
  encodeAuditRows({ input: table(input.length === 0 ? 0 : WIDTH, input), output: table(2 * WIDTH, output) })

describe('Collusion', () => {
  it('answers a task with the rows that were told of the same input', () => {
    const collusion = new Collusion()
    collusion.tell(logOf([1, 2, 3], [null, 7, 8]))
    collusion.tell(logOf([4, 5, 6], [null, 9, 9]))
    const answer = collusion.answerTo(taskOf([1, 2, 3]))
    const shape = { input: { rowCount: 0, rowBytes: 0 }, output: { rowCount: 3, rowBytes: 2 * WIDTH } }
    expect(answer === null ? null : decodeAuditRows(answer, shape)).toEqual({
      ok: true,
      value: { input: table(0, []), output: table(2 * WIDTH, [null, 7, 8]) },
    })
  })

  it('knows nothing of another input, of as many rows or more, nor of what is no task', () => {
    const collusion = new Collusion()
    collusion.tell(logOf([1, 2, 3], [null, 7, 8]))
    for (const task of [taskOf([1, 2, 4]), taskOf([1, 2, 3, 4]), taskOf([1, 2]), new Uint8Array(3), new Uint8Array(20)])
      expect(collusion.answerTo(task)).toBeNull()
  })
})

describe('the fetches of colluders', () => {
  function coordinator(task: Uint8Array<ArrayBuffer>) {
    const collusion = new Collusion()
    const brought = new Map<string, Uint8Array>()
    const fetch = async (url: string, init?: RequestInit) => {
      const body = new Uint8Array(await new Response(init?.body ?? null).arrayBuffer())
      if (url !== COLLUSION_PATH) {
        if (init?.method === 'PUT') brought.set(url, body)
        return new Response(init?.method === 'GET' ? task : null)
      }
      const answer = init?.method === 'POST' ? collusion.answerTo(body) : null
      if (init?.method === 'PUT') collusion.tell(body)
      return answer === null ? new Response(null, { status: 204 }) : new Response(answer)
    }
    return { fetch, brought }
  }

  it('the accomplice brings the rows of the cheat for its input, and what it computed for any other', async () => {
    const log = logOf([1, 2, 3], [null, 7, 8])
    const [computed, honest] = [logOf([], [null, 1, 1]), logOf([], [null, 2, 2])]
    const { fetch, brought } = coordinator(taskOf([1, 2, 3]))
    await confidingFetch(fetch)('log', { method: 'PUT', body: log })
    expect(brought.get('log')).toEqual(log)
    const vouching = vouchingFetch(fetch)
    expect(new Uint8Array(await (await vouching('audit', { method: 'GET' })).arrayBuffer())).toEqual(taskOf([1, 2, 3]))
    await vouching('audit', { method: 'PUT', body: computed })
    expect(brought.get('audit')).toEqual(logOf([], [null, 7, 8]))
    await vouching('other', { method: 'PUT', body: honest })
    expect(brought.get('other')).toEqual(honest)
  })

  it('the cheat tells of its own log alone: not of what it computes as an auditor', async () => {
    const { fetch, brought } = coordinator(taskOf([1, 2, 3]))
    const confiding = confidingFetch(fetch)
    await confiding('audit', { method: 'GET' })
    await confiding('audit', { method: 'PUT', body: logOf([1, 2, 3], [null, 7, 8]) })
    const vouching = vouchingFetch(fetch)
    await vouching('theirs', { method: 'GET' })
    await vouching('theirs', { method: 'PUT', body: logOf([], [null, 1, 1]) })
    expect(brought.get('theirs')).toEqual(logOf([], [null, 1, 1]))
  })
})
