/**
 * onnxruntime-node, fetched when a benchmark first compares with it: 260 MB for all platforms, too much for a dependency that nothing
 * else needs, and its install script fetches CUDA. It lies in a cache beside the models', pruned to this platform.
 */

import { execFile } from 'node:child_process'
import { existsSync } from 'node:fs'
import { mkdir, readdir, rename, rm } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { homedir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import type { OrtRuntime } from '../kernels/suite/index.ts'
import { TabswarmError } from '../shared/index.ts'

/** The same as onnxruntime-web's in package.json, so that both runtimes of the suite compare with the same. */
const VERSION = '1.30.0'
const INSTALL_TIMEOUT_MS = 600_000

/** Loads it, after fetching it once. Rejects with `no-baseline`: what failed and how to put it there by hand. */
export async function openOnnxRuntime(onNote: (text: string) => void): Promise<OrtRuntime> {
  const folder = join(process.env.TABSWARM_ONNXRUNTIME || join(homedir(), '.cache', 'tabswarm-onnxruntime'), VERSION)
  if (!existsSync(packageOf(folder))) await install(folder, onNote)
  try {
    const require = createRequire(join(folder, 'index.js'))
    const ort: typeof import('onnxruntime-web') = require('onnxruntime-node')
    return {
      name: `onnxruntime-node ${VERSION}`,
      createSession: (model, options) => ort.InferenceSession.create(model, options),
      Tensor: ort.Tensor,
    }
  } catch (cause) {
    throw new TabswarmError(
      'no-baseline',
      `onnxruntime-node in ${folder} does not load: ${String(cause)}. Delete the folder to fetch it anew.`,
      {
        cause,
      },
    )
  }
}

function packageOf(folder: string): string {
  return join(folder, 'node_modules', 'onnxruntime-node')
}

/** Aside first: two processes may do it at once, and nobody must find half of it. */
async function install(folder: string, onNote: (text: string) => void): Promise<void> {
  const name = `onnxruntime-node@${VERSION}`
  onNote(`fetching ${name} to compare with (once, into ${folder})`)
  const aside = `${folder}-${process.pid}`
  const args = ['install', '--ignore-scripts', '--no-audit', '--no-fund', '--no-save', '--prefix', aside, name]
  try {
    await mkdir(aside, { recursive: true })
    await promisify(execFile)('npm', args, { timeout: INSTALL_TIMEOUT_MS, shell: process.platform === 'win32' })
    await prune(join(packageOf(aside), 'bin'))
    await rename(aside, folder)
  } catch (cause) {
    await rm(aside, { recursive: true, force: true })
    if (existsSync(packageOf(folder))) return
    const why = cause instanceof Error ? cause.message : String(cause)
    throw new TabswarmError(
      'no-baseline',
      `${name} could not be fetched: ${why}. Run "npm install --ignore-scripts --prefix ${folder} ${name}" yourself, or leave --against out.`,
      { cause },
    )
  }
}

/** bin/napi-v6/PLATFORM/ARCHITECTURE: all but this machine's go. */
async function prune(bin: string): Promise<void> {
  for (const api of await readdir(bin)) {
    for (const platform of await readdir(join(bin, api))) {
      if (platform !== process.platform) await rm(join(bin, api, platform), { recursive: true, force: true })
    }
  }
}
