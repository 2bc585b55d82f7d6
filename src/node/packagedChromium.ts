/**
 * The Chromium that npm brings (@sparticuz/chromium), for machines where none is installed: unpacked once into a folder that
 * processes share. It holds the browser, its NSS libraries, fonts, and SwiftShader with a Vulkan loader, which Dawn in Node
 * uses as well (gpuEnvironment.ts). Unpacking happens in a child process: the package writes to the temporary folder and
 * changes the environment of whoever imports it.
 */

import { execFile } from 'node:child_process'
import { access, constants, mkdir, mkdtemp, readFile, rename, rm, stat, writeFile } from 'node:fs/promises'
import { homedir, tmpdir, userInfo } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { TabswarmError } from '../shared/index.ts'

export interface PackagedChromium {
  readonly executablePath: string
  readonly version: string
  /** Vulkan: `vk_swiftshader_icd.json`, `libvk_swiftshader.so`, `libvulkan.so.1`. */
  readonly folder: string
  /** What the browser needs in its environment on a bare system. */
  readonly env: Readonly<Record<string, string>>
}

/** 65 MB of Brotli take 1.5 s on two quiet cores. */
const UNPACK_TIMEOUT_MS = 180_000

/** Raised when what is unpacked changes, so that an older folder is not taken for it. */
const LAYOUT = 2

/** Makes the package think of a bare server, for which it unpacks the NSS libraries too. */
const UNPACK_SCRIPT = `
const { default: chromium } = await import(process.argv[1])
await chromium.executablePath()
`

/** The unpacked package; unpacks it when it has not been yet (206 MB). Rejects with `no-chromium` where it cannot run. */
export async function packagedChromium(): Promise<PackagedChromium> {
  if (process.platform !== 'linux' || process.arch !== 'x64')
    throw new TabswarmError(
      'no-chromium',
      `no Chromium was found, and the packaged one is for Linux on x64, not ${process.platform} on ${process.arch}. ` +
        'Install Chrome or Chromium, or name one in TABSWARM_CHROMIUM.',
    )
  const entry = fileURLToPath(import.meta.resolve('@sparticuz/chromium'))
  const version = await packageVersion(entry)
  const places = parents().map((parent) => ({ parent, folder: join(parent, `chromium-${version}-${LAYOUT}`) }))
  for (const { parent, folder } of places) if ((await isOwn(parent)) && (await exists(folder))) return describe(folder, version)
  for (const { parent, folder } of places) {
    if (!(await canWrite(parent))) continue
    await unpack(entry, folder)
    return describe(folder, version)
  }
  throw new TabswarmError('no-chromium', `no folder to unpack Chromium into: neither ${parents().join(' nor ')} can be written`)
}

function describe(folder: string, version: string): PackagedChromium {
  const libraries = join(folder, 'al2023', 'lib')
  const inherited = process.env.LD_LIBRARY_PATH
  return {
    executablePath: join(folder, 'chromium'),
    version,
    folder,
    env: { LD_LIBRARY_PATH: inherited ? `${libraries}:${inherited}` : libraries, FONTCONFIG_PATH: join(folder, 'fonts') },
  }
}

/** Unpacks beside `folder` and renames: another process sees all of it or nothing, and of two at once the second gives way. */
async function unpack(entry: string, folder: string): Promise<void> {
  const partial = await mkdtemp(`${folder}.partial-`)
  try {
    await promisify(execFile)(process.execPath, ['--input-type=module', '--eval', UNPACK_SCRIPT, entry], {
      env: { ...process.env, TMPDIR: partial, AWS_LAMBDA_JS_RUNTIME: 'nodejs20.x', NODE_OPTIONS: '' },
      timeout: UNPACK_TIMEOUT_MS,
    })
    await writeFile(join(partial, 'fonts', 'fonts.conf'), fontsConf(join(folder, 'fonts')))
    await rename(partial, folder).catch(async (error: unknown) => {
      if (!(await exists(folder))) throw error
    })
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause)
    throw new TabswarmError('no-chromium', `Chromium could not be unpacked into ${dirname(folder)} (206 MB): ${why}`, { cause })
  } finally {
    await rm(partial, { recursive: true, force: true })
  }
}

/** The package's own file names folders of the server it is meant for; a Chromium without any font ends at the first button. */
function fontsConf(fonts: string): string {
  const [folder, cache] = [fonts, join(fonts, 'cache')].map((path) => path.replaceAll('&', '&amp;').replaceAll('<', '&lt;'))
  return `<?xml version="1.0"?>
<!DOCTYPE fontconfig SYSTEM "fonts.dtd">
<fontconfig>
  <dir>${folder}</dir>
  <cachedir>${cache}</cachedir>
</fontconfig>
`
}

/** Not the model cache: that one may be shared and read-only. Home first; a folder of this user in the temporary directory else. */
function parents(): readonly string[] {
  return [join(homedir(), '.cache', 'tabswarm-browser'), join(tmpdir(), `tabswarm-browser-${userInfo().uid}`)]
}

async function canWrite(parent: string): Promise<boolean> {
  try {
    await mkdir(parent, { recursive: true, mode: 0o700 })
    await access(parent, constants.W_OK)
    return await isOwn(parent)
  } catch {
    return false
  }
}

/** What another user put into the temporary directory is not run. */
async function isOwn(parent: string): Promise<boolean> {
  return stat(parent).then(
    ({ uid }) => uid === userInfo().uid,
    () => false,
  )
}

async function packageVersion(entry: string): Promise<string> {
  const text = await readFile(join(dirname(entry), '..', '..', 'package.json'), 'utf8')
  return String(JSON.parse(text).version)
}

async function exists(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  )
}
