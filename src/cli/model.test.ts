import { spawnSync } from 'node:child_process'
import { mkdtempSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { describe, expect, it } from 'vitest'
import { testData } from '../../test/support/gguf.ts'

const command = fileURLToPath(new URL('../../bin/tabswarm.mjs', import.meta.url))
const folder = mkdtempSync(join(tmpdir(), 'tabswarm-cli-'))
const at = (name: string) => join(folder, name)
writeFileSync(at('gpt-2.gguf'), testData('tokenizer/gpt-2.gguf.gz'))
writeFileSync(at('llama.gguf'), testData('tiny/llama.gguf'))

/** Runs the real command in another folder than the clone. */
function tabswarm(...args: string[]) {
  const { status, stdout, stderr } = spawnSync(process.execPath, [command, ...args], {
    cwd: folder,
    encoding: 'utf8',
    env: { ...process.env, TABSWARM_MODELS: at('models') },
  })
  return { status, stdout, stderr, json: () => JSON.parse(stdout) }
}

describe('tabswarm model tokenize', () => {
  it('prints the ids of a text, special tokens parsed only when asked', () => {
    const text = 'Hello <|endoftext|>'
    const parsed = tabswarm('model', 'tokenize', 'gpt-2.gguf', '--text', text, '--special', '--json')
    expect(parsed).toMatchObject({ status: 0, stderr: '' })
    expect(parsed.json()).toEqual({ ids: [15496, 220, 50256] })
    expect(tabswarm('model', 'tokenize', 'gpt-2.gguf', '--text', text, '--json').json().ids).not.toContain(50256)
  })

  it('reads a file byte for byte and trims nothing', () => {
    writeFileSync(at('text'), Buffer.from([0xef, 0xbb, 0xbf, 0x20, 0x61, 0x0d, 0x0a, 0xff, 0x0a]))
    const ids = tabswarm('model', 'tokenize', 'gpt-2.gguf', '--text-file', 'text', '--json').json()
    expect(ids).toEqual(tabswarm('model', 'tokenize', 'gpt-2.gguf', '--text', '\ufeff a\r\n\ufffd\n', '--json').json())
  })

  it('gives no ids for no text', () => {
    writeFileSync(at('empty'), '')
    expect(tabswarm('model', 'tokenize', 'gpt-2.gguf', '--text', '', '--json').json()).toEqual({ ids: [] })
    expect(tabswarm('model', 'tokenize', 'gpt-2.gguf', '--text-file', 'empty', '--json').json()).toEqual({ ids: [] })
  })

  it('calls it bad usage when there is no text, or two', () => {
    for (const args of [[], ['--text', 'a', '--text-file', 'text']]) {
      const { status, json } = tabswarm('model', 'tokenize', 'gpt-2.gguf', '--json', ...args)
      expect(status).toBe(2)
      expect(json().error.reason).toBe('bad-usage')
    }
  })
})

describe('tabswarm model inspect and manifest', () => {
  it('say what is in a file and whether it can be run', () => {
    const model = tabswarm('model', 'inspect', 'llama.gguf', '--json').json()
    expect(model).toMatchObject({ version: 3, runnable: true, config: { width: 128 }, metadata: { 'general.architecture': 'llama' } })
    expect(model.tensors).toHaveLength(21)
    const vocabulary = tabswarm('model', 'inspect', 'gpt-2.gguf', '--json').json()
    expect(vocabulary).toMatchObject({ runnable: false, reason: { reason: 'unsupported' } })
  })

  it('prints the manifest with its hash', () => {
    const { manifest, hash } = tabswarm('model', 'manifest', 'llama.gguf', '--json').json()
    expect(hash).toMatch(/^[0-9a-f]{64}$/)
    expect(manifest).toMatchObject({ format: 'tabswarm-manifest-1', id: 'llama', fileBytes: 867_328 })
  })

  it('fail with one error object and code 1 on a damaged file', () => {
    writeFileSync(at('cut.gguf'), testData('tiny/llama.gguf').subarray(0, 5_000))
    writeFileSync(at('text.gguf'), 'not a model')
    for (const [file, reason] of [
      ['cut.gguf', 'truncated'],
      ['text.gguf', 'not-gguf'],
      ['absent.gguf', 'not-found'],
    ] as const) {
      const { status, json, stderr } = tabswarm('model', 'manifest', file, '--json')
      expect(status).toBe(1)
      expect(json()).toEqual({ error: { reason, message: expect.any(String) } })
      expect(stderr).toContain(json().error.message)
    }
  })
})

describe('the command line', () => {
  it('prints the catalogue, and where its files would be', () => {
    const { models } = tabswarm('model', 'list', '--json').json()
    expect(models[0]).toMatchObject({ bytes: 98_362_432, license: 'Apache-2.0', pulled: false, path: expect.stringContaining(folder) })
  })

  it('answers --help with 0 and anything unknown with 2 and nothing but JSON on stdout', () => {
    const help = tabswarm('model', 'tokenize', '--help')
    expect(help.status).toBe(0)
    expect(help.stdout).toContain('--text-file')
    for (const args of [['nonsense'], ['model', 'nonsense'], ['model', 'list', '--nonsense'], ['model', 'inspect'], ['model']]) {
      const { status, json } = tabswarm(...args, '--json')
      expect(status, args.join(' ')).toBe(2)
      expect(json().error.reason).toBe('bad-usage')
    }
  })
})
