/**
 * The SIMD kernels of tabs without a GPU, compiled from their AssemblyScript in a few seconds: nothing generated lies in the repository. The
 * compiler runs in a process of its own: it is 13 MB of JavaScript, which this process's TypeScript loader would take a minute to look through.
 */

import { execFile } from 'node:child_process'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { TabswarmError } from '../shared/index.ts'

const folder = fileURLToPath(new URL('../worker/simd/assembly/', import.meta.url))
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
  const compiler = createRequire(import.meta.url).resolve('assemblyscript/bin/asc.js')
  const aside = await mkdtemp(path.join(tmpdir(), 'tabswarm-kernels-'))
  const file = path.join(aside, 'kernels.wasm')
  const memory = ['--importMemory', '--initialMemory', '1', '--maximumMemory', `${PAGES_MAX}`, ...(shared ? ['--sharedMemory'] : [])]
  // Atomic operations are valid on a memory of one thread too: both builds have the same code.
  const features = ['--enable', 'simd', '--enable', 'threads', '--disableWarning', '--noColors']
  const args = ['index.ts', '--outFile', file, '--optimizeLevel', '3', '--runtime', 'stub', '--noAssert', ...memory, ...features]
  try {
    // Without the loaders that this process was started with.
    await promisify(execFile)(process.execPath, [compiler, ...args], { cwd: folder, env: { ...process.env, NODE_OPTIONS: '' } })
    return Uint8Array.from(await readFile(file))
  } catch (cause) {
    throw new TabswarmError('kernel-build', `the SIMD kernels did not compile: ${String(cause)}`, { cause })
  } finally {
    await rm(aside, { recursive: true, force: true })
  }
}
