import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { Command } from 'commander'
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest'
import { readTinyReference, type TinyReference } from '../../test/support/tinyModels.ts'
import { normalizedError } from '../../test/support/tinySuite.ts'
import { registerModelRunCommand } from './modelRun.ts'
import { runProgram } from './output.ts'

const file = fileURLToPath(new URL('../../test/data/tiny/llama.gguf', import.meta.url))

interface Output {
  readonly exitCode: number
  readonly json: Record<string, unknown>
}

let folder: string
let reference: TinyReference
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'tabswarm-run-'))
  reference = await readTinyReference('llama')
})
afterAll(() => rm(folder, { recursive: true }))

/** The command in this process; the CPU twin needs no other. */
async function modelRun(...args: readonly string[]): Promise<Output> {
  const program = new Command('tabswarm')
  registerModelRunCommand(program.command('model'))
  let text = ''
  const stdout = vi.spyOn(process.stdout, 'write').mockImplementation((chunk) => {
    text += String(chunk)
    return true
  })
  const stderr = vi.spyOn(process.stderr, 'write').mockReturnValue(true)
  try {
    const exitCode = await runProgram(program, ['model', 'run', file, '--adapter', 'cpu', '--json', ...args])
    return { exitCode, json: JSON.parse(text) }
  } finally {
    stdout.mockRestore()
    stderr.mockRestore()
  }
}

describe('model run', () => {
  it('answers token ids with the reference’s greedy tokens, over any number of spans', async () => {
    for (const spans of ['1', '2']) {
      const { exitCode, json } = await modelRun(
        '--token-ids',
        reference.tokenIds.join(','),
        '--max-tokens',
        '16',
        '--top',
        '3',
        '--spans',
        spans,
      )
      expect(exitCode).toBe(0)
      expect(json).toMatchObject({
        promptTokenIds: reference.tokenIds,
        completionTokenIds: reference.greedyTokenIds,
        finishReason: 'length',
      })
      expect(json.steps).toHaveLength(16)
      const [first] = json.steps as { id: number; logSumExp: number; top: [number, number][] }[]
      expect(first?.top).toHaveLength(3)
      expect(first?.top[0]?.[0]).toBe(first?.id)
      expect(first?.logSumExp).toBeGreaterThan(first?.top[0]?.[1] ?? Number.POSITIVE_INFINITY)
    }
  })

  it('writes the logits of each prompt token, with no answer wanted', async () => {
    const path = join(folder, 'logits.f32')
    const { json } = await modelRun('--token-ids', reference.tokenIds.join(','), '--max-tokens', '0', '--logits-out', path)
    expect(json).toMatchObject({ completionTokenIds: [], steps: [], text: '', finishReason: 'length' })
    const logits = new Float32Array(Uint8Array.from(await readFile(path)).buffer)
    expect(normalizedError(logits, reference.logits)).toBeLessThan(1e-8)
  })

  it('refuses bad usage with exit code 2, and what cannot be done with 1', async () => {
    const cases: [readonly string[], number, string][] = [
      [[], 2, 'bad-usage'],
      [['--token-ids', '1', '--raw', 'x'], 2, 'bad-usage'],
      [['--token-ids', '1,x'], 2, 'bad-usage'],
      [['--token-ids', '512'], 2, 'bad-usage'],
      [['--token-ids', '1', '--spans', '3'], 2, 'bad-usage'],
      [['--token-ids', '1', '--adapter', 'quantum'], 2, 'bad-usage'],
      [['--token-ids', Array.from({ length: 4097 }, () => 1).join(',')], 1, 'prompt-too-long'],
      [['--token-ids', '1', '--logits-out', join(folder, 'none', 'file')], 1, 'cannot-write'],
    ]
    for (const [args, exitCode, reason] of cases) {
      expect(await modelRun(...args), args.join(' ').slice(0, 80)).toMatchObject({ exitCode, json: { error: { reason } } })
    }
  })
})
