/** The SIMD kernels of tabs without a GPU, compiled from their AssemblyScript in a second, in memory: nothing generated lies in the repository. */

import { readdir, readFile } from 'node:fs/promises'
import path from 'node:path'
import { fileURLToPath } from 'node:url'
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
  const { main } = await import('assemblyscript/asc')
  const sources = new Map<string, string>()
  for (const name of await readdir(folder)) if (name.endsWith('.ts')) sources.set(name, await readFile(path.join(folder, name), 'utf8'))
  let binary: Binary | null = null
  const args = ['index.ts', '--outFile', 'kernels.wasm', '--optimizeLevel', '3', '--runtime', 'stub', '--noAssert']
  const memory = ['--importMemory', '--initialMemory', '1', '--maximumMemory', `${PAGES_MAX}`, ...(shared ? ['--sharedMemory'] : [])]
  // Atomic operations are valid on a memory of one thread too: both builds have the same code.
  const features = ['--enable', 'simd', '--enable', 'threads', '--disableWarning', '--noColors']
  const { error, stderr } = await main([...args, ...memory, ...features], {
    readFile: (name) => sources.get(path.basename(name)) ?? null,
    writeFile(_name, contents) {
      if (typeof contents !== 'string') binary = Uint8Array.from(contents)
    },
    listFiles: () => [...sources.keys()],
  })
  if (error !== null || binary === null)
    throw new TabswarmError('kernel-build', `the SIMD kernels did not compile: ${stderr.toString() || String(error)}`, { cause: error })
  return binary
}
