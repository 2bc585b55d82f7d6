/**
 * Which Vulkan driver Dawn in Node gets. The loader reads its environment when the process starts (LD_LIBRARY_PATH) or first
 * looks for drivers, so a command that wants a certain adapter runs itself again with the right one: `reexecWithGpu`.
 */

import { execFile, spawn } from 'node:child_process'
import { existsSync, readdirSync } from 'node:fs'
import { createRequire } from 'node:module'
import { constants, homedir, tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { chromiumFolders } from './chromiumPlaces.ts'
import { GpuError } from './gpuError.ts'
import { packagedChromium } from './packagedChromium.ts'

/** `swiftshader` and `lavapipe` compute on the CPU; `default` is the machine's own GPU, or what software it has. */
export type GpuAdapterName = 'swiftshader' | 'lavapipe' | 'default'

export type GpuEnvironment = { readonly env: Readonly<Record<string, string>> } | { readonly missing: string }

/** Tells the child of `reexecWithGpu` that it has what it needs, and tests which adapter they run on. */
export const ADAPTER_VARIABLE = 'TABSWARM_ADAPTER'

const MANIFEST_FOLDERS = ['/etc/vulkan/icd.d', '/usr/local/share/vulkan/icd.d', '/usr/share/vulkan/icd.d']
const LOADER_FOLDERS = ['/usr/lib/x86_64-linux-gnu', '/usr/lib/aarch64-linux-gnu', '/usr/lib64', '/usr/lib', '/usr/local/lib']
const SWIFTSHADER_MANIFEST = 'vk_swiftshader_icd.json'
const PROBE_TIMEOUT_MS = 60_000

/** Variables to start a process with, so that its Dawn finds `adapter`; or why there is none and what to install. */
export async function environmentFor(adapter: GpuAdapterName): Promise<GpuEnvironment> {
  switch (adapter) {
    case 'swiftshader':
      return swiftshader()
    case 'lavapipe':
      return lavapipe()
    case 'default':
      // Dawn brings Metal and D3D12 by itself; a Linux without any Vulkan driver gets the one that needs none installed.
      if (process.platform !== 'linux' || (hasLoader() && systemManifests().length > 0)) return { env: {} }
      return swiftshader()
  }
}

/** Whether Dawn gets an adapter in this environment, asked in a process of its own; the adapter's description, or null. */
export async function probeEnvironment(env: Readonly<Record<string, string>>): Promise<string | null> {
  const script = `
    const { create } = await import(process.argv[1])
    const gpu = create([])
    const adapter = await gpu.requestAdapter()
    process.stdout.write(adapter === null ? '' : adapter.info.description || adapter.info.vendor || 'unnamed')
    process.exit(0)`
  const entry = createRequire(import.meta.url).resolve('webgpu')
  try {
    const { stdout } = await promisify(execFile)(process.execPath, ['--input-type=module', '--eval', script, entry], {
      env: { ...process.env, ...env },
      timeout: PROBE_TIMEOUT_MS,
    })
    return stdout === '' ? null : stdout
  } catch {
    return null
  }
}

/**
 * Runs this very command again under `adapter`'s environment, with the same standard streams, and resolves with its exit
 * code; null when this process is already that child and should do the work itself. Throws what `environmentFor` misses.
 */
export async function reexecWithGpu(adapter: GpuAdapterName): Promise<number | null> {
  if (process.env[ADAPTER_VARIABLE] === adapter) return null
  const found = await environmentFor(adapter)
  if ('missing' in found) throw new GpuError('no-adapter', found.missing)
  const child = spawn(process.execPath, [...process.execArgv, ...process.argv.slice(1)], {
    stdio: 'inherit',
    env: { ...process.env, ...found.env, [ADAPTER_VARIABLE]: adapter },
  })
  const signals = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const
  const forward = (signal: NodeJS.Signals) => void child.kill(signal)
  for (const signal of signals) process.on(signal, forward)
  try {
    return await new Promise<number>((resolve, reject) => {
      child.once('error', reject)
      child.once('exit', (code, signal) => resolve(code ?? 128 + (signal === null ? 0 : constants.signals[signal])))
    })
  } finally {
    for (const signal of signals) process.off(signal, forward)
  }
}

async function swiftshader(): Promise<GpuEnvironment> {
  if (process.platform !== 'linux')
    return { missing: `SwiftShader for Node is looked for on Linux only; use --adapter default on ${process.platform}` }
  const installed = chromiumFolders().find((folder) => existsSync(join(folder, SWIFTSHADER_MANIFEST)))
  if (installed !== undefined && (hasLoader() || existsSync(join(installed, 'libvulkan.so.1'))))
    return { env: driver(join(installed, SWIFTSHADER_MANIFEST), installed) }
  try {
    const { folder } = await packagedChromium()
    return { env: driver(join(folder, SWIFTSHADER_MANIFEST), folder) }
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error)
    return { missing: `SwiftShader was not found: ${why}` }
  }
}

async function lavapipe(): Promise<GpuEnvironment> {
  const manifest = systemManifests().find((path) => /\/lvp_icd[^/]*\.json$/.test(path))
  const install = 'Install Mesa 25 or newer (Debian: mesa-vulkan-drivers, for bookworm from backports)'
  if (manifest === undefined || !hasLoader()) return { missing: `lavapipe is not installed. ${install}.` }
  const env = { ...driver(manifest), XDG_RUNTIME_DIR: process.env.XDG_RUNTIME_DIR ?? tmpdir() }
  if ((await probeEnvironment(env)) === null) return { missing: `${manifest} gives Dawn no adapter: too old, or broken. ${install}.` }
  return { env }
}

/** Chooses one driver; `loaderFolder` holds a libvulkan.so.1 for systems without one. */
function driver(manifest: string, loaderFolder?: string): Record<string, string> {
  const env: Record<string, string> = { VK_ICD_FILENAMES: manifest, VK_DRIVER_FILES: manifest }
  if (loaderFolder !== undefined && !hasLoader()) {
    const inherited = process.env.LD_LIBRARY_PATH
    env.LD_LIBRARY_PATH = inherited ? `${loaderFolder}:${inherited}` : loaderFolder
  }
  return env
}

function hasLoader(): boolean {
  return LOADER_FOLDERS.some((folder) => existsSync(join(folder, 'libvulkan.so.1')))
}

function systemManifests(): string[] {
  const folders = [...MANIFEST_FOLDERS, join(homedir(), '.local', 'share', 'vulkan', 'icd.d')]
  return folders.filter(existsSync).flatMap((folder) =>
    readdirSync(folder)
      .filter((name) => name.endsWith('.json'))
      .sort()
      .map((name) => join(folder, name)),
  )
}
