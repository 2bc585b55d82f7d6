/**
 * What a person may name a model by (a catalogue's id, a file, a URL), opened. A URL's manifest is kept in the store: to make
 * it, every byte has to be fetched once.
 */

import { mkdir, readFile, rename, stat, writeFile } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import {
  buildManifest,
  canonicalJson,
  type GgufFile,
  type HashedManifest,
  hashManifest,
  ModelError,
  type ModelFile,
  modelIdFromFileName,
  openHttpModelFile,
  parseManifestJson,
  readGguf,
} from '../model/index.ts'
import { type ModelId, toHex, utf8Encode } from '../shared/index.ts'
import { catalogue, catalogueEntry } from './modelCatalogue.ts'
import { nodeClock, nodeSha256, openLocalFile } from './modelFile.ts'
import { modelFolder, type PullOptions, pullModel } from './modelStore.ts'

export interface OpenedModel {
  readonly id: ModelId
  /** The catalogue's name for it, if it is there. */
  readonly name?: string
  /** Random access to the file's bytes. */
  readonly source: ModelFile
  /** Its header, read and checked. */
  readonly gguf: GgufFile
  /** Where the file lies on this machine, if it does. */
  readonly filePath?: string
  readonly url?: string
}

export interface ResolvedModel extends OpenedModel {
  readonly hashedManifest: HashedManifest
}

/** Opens a model without hashing it; pulls one of the catalogue if need be. Also vocabulary-only files. Rejects with a ModelError. */
export async function openModel(name: string, options: PullOptions = {}): Promise<OpenedModel> {
  const signal = options.signal ?? new AbortController().signal
  if (/^https?:\/\//i.test(name)) {
    const source = await openHttpModelFile({ url: name, fetch, clock: nodeClock }, signal)
    return { id: modelIdFromFileName(new URL(name).pathname), source, gguf: await readGguf(source, signal), url: name }
  }
  const entry = catalogueEntry(name)
  const isFile = entry === undefined && (await stat(name).catch(() => null))?.isFile() === true
  if (entry === undefined && !isFile)
    throw new ModelError(
      'not-found',
      `"${name}" is no model of the catalogue (${catalogue.map(({ id }) => id).join(', ')}), no file and no http(s) URL; see tabswarm model list`,
    )
  const filePath = entry === undefined ? resolve(name) : await pullModel(entry, options)
  const source = await openLocalFile(filePath)
  const gguf = await readGguf(source, signal)
  return entry === undefined
    ? { id: modelIdFromFileName(filePath), source, gguf, filePath }
    : { id: entry.id, name: entry.name, source, gguf, filePath }
}

/** Opens a model that is to be run: with its manifest. Rejects with a ModelError, `unsupported` for one that cannot be run. */
export async function resolveModel(
  name: string,
  onProgress?: (bytesDone: number, bytesTotal: number) => void,
  options: Omit<PullOptions, 'onProgress'> = {},
): Promise<ResolvedModel> {
  const opened = await openModel(name, onProgress === undefined ? options : { ...options, onProgress })
  const kept = opened.url === undefined ? null : await keptManifest(opened.url, opened.gguf)
  if (kept !== null) return { ...opened, hashedManifest: kept }
  const hashedManifest = await buildManifest({
    source: opened.source,
    file: opened.gguf,
    id: opened.id,
    ...(opened.name === undefined ? {} : { name: opened.name }),
    sha256: nodeSha256,
    signal: options.signal ?? new AbortController().signal,
    // A local file is hashed in a moment; a URL is a download worth showing.
    ...(onProgress === undefined || opened.url === undefined ? {} : { onProgress }),
  })
  if (opened.url !== undefined) await keepManifest(opened.url, hashedManifest)
  return { ...opened, hashedManifest }
}

async function manifestPath(url: string): Promise<string> {
  return join(modelFolder(), 'manifests', `${toHex(await nodeSha256(utf8Encode(url))).slice(0, 32)}.json`)
}

/** Only while the file's length and header are what they were. */
async function keptManifest(url: string, gguf: GgufFile): Promise<HashedManifest | null> {
  const text = await readFile(await manifestPath(url), 'utf8').catch(() => null)
  if (text === null) return null
  try {
    const manifest = parseManifestJson(text)
    const fresh = manifest.fileBytes === gguf.fileBytes && manifest.header.sha256 === toHex(await nodeSha256(gguf.headerBytes))
    return fresh ? { manifest, hash: await hashManifest(manifest, nodeSha256) } : null
  } catch {
    return null
  }
}

/** A folder that cannot be written to costs only time, the next time. */
async function keepManifest(url: string, { manifest }: HashedManifest): Promise<void> {
  const path = await manifestPath(url)
  try {
    await mkdir(join(modelFolder(), 'manifests'), { recursive: true })
    await writeFile(`${path}.${process.pid}`, canonicalJson(manifest))
    await rename(`${path}.${process.pid}`, path)
  } catch {
    // Read-only store.
  }
}
