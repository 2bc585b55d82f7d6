import { appendFile, mkdtemp, readFile, rm, stat } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { afterEach, beforeEach, expect, it } from 'vitest'
import type { UsageEvent } from '../server.ts'
import { readUsage } from './usage.ts'
import { UsageFile } from './usageFile.ts'

let folder: string
let file: string
const log: string[] = []
beforeEach(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'tabswarm-usage-'))
  file = path.join(folder, 'usage.jsonl')
  log.length = 0
})
afterEach(() => rm(folder, { recursive: true }))

const DAY = 86_400
const event = (index: number, account = 'ada') =>
  ({ object: 'usage', request_id: `req_${index}`, created: index * DAY, account }) as unknown as UsageEvent
const open = (bytesMax?: number) =>
  UsageFile.open({ file, log: (line) => void log.push(line), ...(bytesMax === undefined ? {} : { bytesMax }) })

async function read(flags: { readonly since?: number; readonly account?: string } = {}) {
  const ids: string[] = []
  const broken = await readUsage({ file, ...flags }, (line) => ids.push(JSON.parse(line).request_id))
  return { ids, broken }
}

async function write(events: readonly UsageEvent[], bytesMax?: number): Promise<void> {
  const sink = await open(bytesMax)
  for (const one of events) sink.push(one)
  await sink.close()
}

it('keeps what was written before, for its owner alone to read', async () => {
  await write([event(1)])
  await write([event(2), event(3)])
  expect(await read()).toEqual({ ids: ['req_1', 'req_2', 'req_3'], broken: 0 })
  expect((await stat(file)).mode & 0o777).toBe(0o600)
})

it('writes within a second, without being closed', async () => {
  const sink = await open()
  sink.push(event(1))
  await expect.poll(() => readFile(file, 'utf8'), { timeout: 10_000 }).toContain('req_1')
  await sink.close()
})

it('begins a line of its own where a killed process left half of one, which is left out and counted', async () => {
  await write([event(1)])
  await appendFile(file, '{"object":"usage","reque')
  await write([event(2)])
  expect(await read()).toEqual({ ids: ['req_1', 'req_2'], broken: 1 })
})

it('is two files at most, the older one read first', async () => {
  for (let index = 1; index <= 4; index++) await write([event(index)], 10)
  expect(await read()).toEqual({ ids: ['req_3', 'req_4'], broken: 0 })
})

it('is read from a day on, and of one account', async () => {
  await write([event(1), event(2), event(3, 'bob'), event(4)])
  expect((await read({ since: 2 * DAY * 1_000 })).ids).toEqual(['req_2', 'req_3', 'req_4'])
  expect((await read({ since: 2 * DAY * 1_000, account: 'bob' })).ids).toEqual(['req_3'])
})

it('says once that it cannot be written, and goes on', async () => {
  const sink = await open()
  await rm(folder, { recursive: true })
  for (let index = 0; index < 3; index++) {
    sink.push(event(index))
    await sink.close()
  }
  expect(log).toHaveLength(1)
  folder = await mkdtemp(path.join(tmpdir(), 'tabswarm-usage-'))
})

it('that is not there is refused by name', async () => {
  await expect(read()).rejects.toMatchObject({ reason: 'not-found' })
})
