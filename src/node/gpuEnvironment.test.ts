import { execFile } from 'node:child_process'
import { existsSync } from 'node:fs'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest'
import { findChromium } from './chromium.ts'
import { environmentFor } from './gpuEnvironment.ts'

let folder: string
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'tabswarm-env-'))
})
afterAll(() => rm(folder, { recursive: true }))
afterEach(() => vi.unstubAllEnvs())

describe('environmentFor', () => {
  it.runIf(process.platform === 'linux' && process.arch === 'x64')('finds SwiftShader on any Linux, from npm if need be', async () => {
    const found = await environmentFor('swiftshader')
    if ('missing' in found) throw new Error(found.missing)
    expect(existsSync(found.env.VK_DRIVER_FILES ?? '')).toBe(true)
    expect(found.env.VK_ICD_FILENAMES).toBe(found.env.VK_DRIVER_FILES)
  })

  it('gives lavapipe, or says that Mesa 25 must be installed', async () => {
    const found = await environmentFor('lavapipe')
    if ('missing' in found) expect(found.missing).toMatch(/Mesa 25/)
    else expect(found.env.VK_DRIVER_FILES).toMatch(/lvp_icd/)
  })
})

describe('reexecWithGpu', () => {
  /** A program that runs itself again, prints what it got, and ends with `code`. */
  async function run(code: string): Promise<{ stdout: string; exitCode: number }> {
    const file = join(folder, 'program.mts')
    const door = new URL('./gpuEnvironment.ts', import.meta.url).href
    await writeFile(
      file,
      `import { reexecWithGpu } from ${JSON.stringify(door)}
      const childCode = await reexecWithGpu('default')
      if (childCode === null) { process.stdout.write('child ' + process.argv.slice(2).join(' ')); ${code} }
      else process.exitCode = childCode`,
    )
    return new Promise((resolve) => {
      const args = ['--import', import.meta.resolve('tsx'), file, 'one', 'two three']
      const child = execFile(process.execPath, args, (_, stdout) => resolve({ stdout, exitCode: child.exitCode ?? -1 }))
    })
  }

  it('runs the command once more with its arguments and standard output', async () => {
    expect(await run('')).toEqual({ stdout: 'child one two three', exitCode: 0 })
  })

  it("ends with the child's exit code", async () => {
    expect(await run('process.exitCode = 7')).toMatchObject({ exitCode: 7 })
  })

  it('ends with 128 and the number of the signal that killed the child', async () => {
    expect(await run("process.kill(process.pid, 'SIGKILL'); await new Promise(() => setTimeout(() => {}, 9e6))")).toMatchObject({
      exitCode: 137,
    })
  })
})

describe('findChromium', () => {
  it('takes what TABSWARM_CHROMIUM names', async () => {
    vi.stubEnv('TABSWARM_CHROMIUM', process.execPath)
    expect(await findChromium()).toEqual({ executablePath: process.execPath, source: 'variable', env: {} })
  })

  it('says so when TABSWARM_CHROMIUM names nothing, instead of taking another', async () => {
    vi.stubEnv('TABSWARM_CHROMIUM', join(folder, 'none'))
    await expect(findChromium()).rejects.toMatchObject({ reason: 'no-chromium', message: expect.stringContaining('TABSWARM_CHROMIUM') })
  })

  it.runIf(process.platform === 'linux')('finds one on the PATH', async () => {
    await writeFile(join(folder, 'chromium'), '', { mode: 0o755 })
    vi.stubEnv('TABSWARM_CHROMIUM', '')
    vi.stubEnv('PATH', folder)
    expect(await findChromium()).toMatchObject({ executablePath: join(folder, 'chromium'), source: 'installed' })
  })
})
