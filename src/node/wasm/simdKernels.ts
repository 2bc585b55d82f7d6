/**
 * The SIMD kernels of tabs without a GPU, compiled from their AssemblyScript: nothing generated lies in the repository. That takes seconds, so
 * the result is kept in dist/, by the hash of what it was made of. The compiler runs in a process of its own: it is 13 MB of JavaScript, which
 * this process's TypeScript loader would take a minute to look through.
 */

import { execFile } from 'node:child_process'
import { createHash } from 'node:crypto'
import { mkdir, mkdtemp, readdir, readFile, rename, rm } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { TabswarmError } from '../../shared/index.ts'

const folder = fileURLToPath(new URL('../../worker/simd/assembly/', import.meta.url))
const kept = fileURLToPath(new URL('../../../dist/kernels/', import.meta.url))
const { resolve } = createRequire(import.meta.url)
const PAGES_MAX = 65_536

type Binary = Uint8Array<ArrayBuffer>

const compiled = new Map<boolean, Promise<Binary>>()

/**
 * WebAssembly that imports its memory as `env.memory`: `shared`, a memory of several threads. Compiled once a process. Rejects with
 * `kernel-build`.
 */
export function compileSimdKernels({ shared }: { readonly shared: boolean }): Promise<Binary> {
  const known = compiled.get(shared) ?? compile(shared)
  compiled.set(shared, known)
  return known
}

async function compile(shared: boolean): Promise<Binary> {
  const memory = ['--importMemory', '--initialMemory', '1', '--maximumMemory', `${PAGES_MAX}`, ...(shared ? ['--sharedMemory'] : [])]
  // Atomic operations are valid on a memory of one thread too: both builds have the same code.
  const features = ['--enable', 'simd', '--enable', 'threads', '--disableWarning', '--noColors']
  const options = ['--optimizeLevel', '3', '--runtime', 'stub', '--noAssert', ...memory, ...features]
  const file = path.join(kept, `${await hashOf(options)}.wasm`)
  const known = await readFile(file).catch(() => null)
  if (known !== null) return Uint8Array.from(known)
  // Aside first: two processes may do it at once. Where nothing can be kept, as in a read-only installation, each process compiles anew.
  const aside = await mkdir(kept, { recursive: true })
    .then(() => mkdtemp(path.join(kept, 'building-')))
    .catch(() => mkdtemp(path.join(tmpdir(), 'tabswarm-kernels-')))
  try {
    const built = path.join(aside, 'kernels.wasm')
    await runCompiler([...options, '--outFile', built])
    const binary = Uint8Array.from(await readFile(built))
    await rename(built, file).catch(() => undefined)
    return binary
  } finally {
    await rm(aside, { recursive: true, force: true })
  }
}

async function runCompiler(options: readonly string[]): Promise<void> {
  const args = [resolve('assemblyscript/bin/asc.js'), 'index.ts', ...options]
  try {
    // Without the loaders that this process was started with.
    await promisify(execFile)(process.execPath, args, { cwd: folder, env: { ...process.env, NODE_OPTIONS: '' } })
  } catch (cause) {
    throw new TabswarmError('kernel-build', `the SIMD kernels did not compile: ${String(cause)}`, { cause })
  }
}

/** Of the sources, the compiler's version and its options. */
async function hashOf(options: readonly string[]): Promise<string> {
  const hash = createHash('sha256').update(options.join(' '))
  hash.update(await readFile(resolve('assemblyscript/package.json')))
  for (const name of (await readdir(folder)).sort()) hash.update(`${name}\n`).update(await readFile(path.join(folder, name)))
  return hash.digest('hex').slice(0, 16)
}
