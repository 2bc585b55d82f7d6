/**
 * The built web app. Users have no build step: the first command that serves pages builds them with Vite, once for each state of
 * the sources, into dist/web/HASH. Two processes may do it at once: each builds aside, the rename decides.
 */

import { createHash } from 'node:crypto'
import { existsSync } from 'node:fs'
import { mkdir, readdir, readFile, rename, rm, stat } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { fileURLToPath } from 'node:url'
import type { Plugin } from 'vite'
import { TabswarmError } from '../shared/index.ts'

const packageRoot = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '../..')
const SOURCES = ['index.html', 'suite.html', 'vite.config.ts', 'package.json', 'src', 'shaders', 'public']
/** Builds of older sources that nobody has touched for this long are deleted; a server may still be serving a younger one. */
const STALE_BUILD_MS = 24 * 3_600_000

export interface WebAppOptions {
  /** Its engine's worker can cheat: for `audit` alone, which serves it to tabs of its own. */
  readonly canCheat?: boolean
}

/** Folder of the built app for the sources as they are; builds it when it is not there yet. */
export async function ensureWebApp(log: (line: string) => void, { canCheat = false }: WebAppOptions = {}): Promise<string> {
  const hash = `${await hashSources()}${canCheat ? '-cheating' : ''}`
  for (const parent of buildParents()) {
    const folder = path.join(parent, hash)
    if (existsSync(path.join(folder, 'index.html'))) return folder
  }
  log('building the web app (once for each version of the sources)')
  for (const parent of buildParents()) {
    try {
      await mkdir(parent, { recursive: true })
      return await build(parent, hash, canCheat ? [cheatingWorker] : [])
    } catch (error) {
      if (!isReadOnly(error)) throw new TabswarmError('web-app-build', `the web app could not be built: ${String(error)}`, { cause: error })
    }
  }
  throw new TabswarmError('web-app-build', `no folder to build the web app in: make ${buildParents().join(' or ')} writable`)
}

function buildParents(): string[] {
  return [path.join(packageRoot, 'dist/web'), path.join(tmpdir(), 'tabswarm-web')]
}

async function build(parent: string, hash: string, plugins: Plugin[]): Promise<string> {
  const { build: viteBuild } = await import('vite')
  const aside = path.join(parent, `building-${process.pid}`)
  // Vite believes the environment before its mode: started by a test runner it would build React for development.
  const { NODE_ENV: outside } = process.env
  process.env.NODE_ENV = 'production'
  try {
    await viteBuild({
      root: packageRoot,
      configFile: path.join(packageRoot, 'vite.config.ts'),
      logLevel: 'error',
      plugins,
      build: { outDir: aside, emptyOutDir: true },
    })
  } finally {
    if (outside === undefined) delete process.env.NODE_ENV
    else process.env.NODE_ENV = outside
  }
  const folder = path.join(parent, hash)
  try {
    await rename(aside, folder)
  } catch (error) {
    await rm(aside, { recursive: true, force: true })
    if (!existsSync(path.join(folder, 'index.html'))) throw error
  }
  await removeStaleBuilds(parent, hash)
  return folder
}

/** Puts the other worker in the place of the honest one. */
const cheatingWorker: Plugin = {
  name: 'cheating-worker',
  enforce: 'pre',
  transform(code, id) {
    if (!id.endsWith('/src/main.tsx')) return null
    const changed = code.replace('./worker/engine.worker.ts', './worker/cheating.worker.ts')
    if (changed === code) throw new Error('assertion failed: main.tsx starts no engine.worker.ts')
    return changed
  },
}

async function removeStaleBuilds(parent: string, hash: string): Promise<void> {
  for (const name of await readdir(parent)) {
    if (name === hash) continue
    const folder = path.join(parent, name)
    const info = await stat(folder).catch(() => null)
    if (info !== null && Date.now() - info.mtimeMs > STALE_BUILD_MS) await rm(folder, { recursive: true, force: true })
  }
}

async function hashSources(): Promise<string> {
  const hash = createHash('sha256')
  for (const file of (await Promise.all(SOURCES.map(filesUnder))).flat().sort()) {
    hash.update(`${file}\n`).update(await readFile(path.join(packageRoot, file)))
  }
  return hash.digest('hex').slice(0, 16)
}

async function filesUnder(relative: string): Promise<string[]> {
  const info = await stat(path.join(packageRoot, relative)).catch(() => null)
  if (info === null) return []
  if (info.isFile()) return /\.test\.tsx?$/.test(relative) ? [] : [relative]
  const names = await readdir(path.join(packageRoot, relative))
  return (await Promise.all(names.map((name) => filesUnder(path.join(relative, name))))).flat()
}

function isReadOnly(error: unknown): boolean {
  const code = error instanceof Error && 'code' in error ? error.code : null
  return code === 'EROFS' || code === 'EACCES' || code === 'EPERM'
}
