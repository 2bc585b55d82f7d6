import { spawnSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { describe, expect, it } from 'vitest'

const command = fileURLToPath(new URL('../../bin/tabswarm.mjs', import.meta.url))

function benchKernels(...args: string[]) {
  const { status, stdout } = spawnSync(process.execPath, [command, 'bench', 'kernels', '--json', ...args], { encoding: 'utf8' })
  return { status, json: JSON.parse(stdout) as { error?: { reason: string; message: string } } }
}

describe('tabswarm bench kernels', () => {
  for (const [args, message] of [
    [['--cases', 'matvec,convolution'], 'must be matvec or matmul or attention_decode, not "convolution"'],
    [['--formats', 'q4_9'], '"q4_9" is none of f32'],
    [['--shapes', '1536'], 'OUTPUTSxINPUTS'],
    [['--formats', 'q4_k', '--shapes', '64x576'], '576 inputs are no whole blocks of Q4_K'],
    [['--runtime', 'chromium', '--adapter', 'lavapipe'], 'Chromium takes no lavapipe'],
  ] as const) {
    it(`${args.join(' ')}: exits with 2 and says what it takes, before any GPU is opened`, () => {
      const { status, json } = benchKernels(...args)
      expect(status).toBe(2)
      expect(json.error).toMatchObject({ reason: 'bad-usage', message: expect.stringContaining(message) })
    })
  }
})
