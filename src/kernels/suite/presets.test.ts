import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { caseWork, checkCase } from './cases.ts'
import { isSuiteFormat, suiteFormats } from './formats.ts'
import { decodeChoice, encodeChoice } from './link.ts'
import { casesOf, defaultChoice, projections, type SuiteChoice, suitePresets } from './presets.ts'
import { caseKey, SUITE_KERNELS } from './types.ts'

const everything: SuiteChoice = {
  kernels: SUITE_KERNELS,
  presets: suitePresets.map(({ id }) => id),
  formats: suiteFormats,
  kvFormats: ['f32', 'f16'],
  decodeRows: [1, 8],
  promptRows: [128],
  positions: [2048],
}

const chosen = fc.record({
  kernels: fc.subarray([...SUITE_KERNELS]),
  presets: fc.subarray(suitePresets.map(({ id }) => id)),
  formats: fc.subarray([...suiteFormats]),
  kvFormats: fc.subarray(['f32', 'f16'] as const),
  decodeRows: fc.subarray([1, 2, 3, 4, 5, 6, 7, 8]),
  promptRows: fc.subarray([1, 16, 128, 512, 2048]),
  positions: fc.subarray([1, 512, 2048, 131_072]),
})

describe('casesOf', () => {
  it('gives cases that the runner takes, none twice, in every format that a shape has whole blocks of', () => {
    const cases = casesOf(everything)
    for (const entry of cases) expect(() => checkCase(entry)).not.toThrow()
    expect(new Set(cases.map(caseKey)).size).toBe(cases.length)
    for (const format of suiteFormats) expect(cases.some((entry) => entry.format === format)).toBe(true)
  })

  it('leaves out formats whose blocks do not divide the inputs: 576 are no blocks of 256', () => {
    const cases = casesOf({ ...defaultChoice, kernels: ['matvec'], formats: ['q4_k'] })
    expect(cases.map(({ shape }) => shape)).toEqual([[576, 1536]])
  })

  it('knows the published sizes: SmolLM2-135M joined Q, K, V and gate, up', () => {
    const [smollm] = suitePresets
    expect(smollm && projections(smollm)).toEqual([
      [960, 576],
      [576, 576],
      [3072, 576],
      [576, 1536],
    ])
  })
})

describe('checkCase', () => {
  it('accepts both sides of a bound and says what is beyond', () => {
    const entry = { kernel: 'matvec', format: 'q4_1', shape: [64, 64], rows: 8 } as const
    expect(() => checkCase(entry)).not.toThrow()
    expect(() => checkCase({ ...entry, rows: 9 })).toThrow('rows go from 1 to 8')
    expect(() => checkCase({ ...entry, shape: [64, 48] })).toThrow('48 inputs are no whole blocks of Q4_1')
    expect(() => checkCase({ ...entry, shape: [0, 64] })).toThrow('each from 1 to')
    const attention = { kernel: 'attention_decode', format: 'f32', shape: [2048, 32, 8, 64], rows: 1 } as const
    expect(() => checkCase(attention)).not.toThrow()
    expect(() => checkCase({ ...attention, shape: [2048, 32, 7, 64] })).toThrow('multiple of KV heads')
    expect(() => checkCase({ ...attention, format: 'q8_0' })).toThrow('f32 or f16')
  })

  it.each(['f32', 'f16'] as const)('refuses head sizes that no kernel reads from a cache of %s, by number', (format) => {
    const withHeads = (headSize: number) => ({ kernel: 'attention_decode', format, shape: [64, 8, 2, headSize], rows: 1 }) as const
    for (const headSize of [8, 80, 256]) expect(() => checkCase(withHeads(headSize))).not.toThrow()
    for (const headSize of [4, 12, 36, 260, 264, 0])
      expect(() => checkCase(withHeads(headSize))).toThrow(`a head size of ${headSize} is no multiple of 8 up to 256`)
  })
})

describe('caseWork', () => {
  it('counts multiply-adds twice, and each weight once', () => {
    expect(caseWork({ kernel: 'matvec', format: 'q4_1', shape: [64, 32], rows: 2 })).toEqual({ flops: 8192, bytes: 64 * 20 + 4 * 2 * 96 })
    const { flops, bytes } = caseWork({ kernel: 'attention_decode', format: 'f16', shape: [10, 4, 2, 8], rows: 1 })
    expect({ flops, bytes }).toEqual({ flops: 1280, bytes: 2 * 10 * 2 * 8 * 2 + 8 * 32 })
  })
})

describe('a link', () => {
  it('says a choice so that it comes back the same, also an empty list', () => {
    fc.assert(
      fc.property(chosen, (choice) => {
        expect(decodeChoice(new URLSearchParams(String(encodeChoice(choice))))).toEqual(choice)
      }),
    )
  })

  it('without parameters is the default; what it says wrongly is left out', () => {
    expect(decodeChoice(new URLSearchParams())).toEqual(defaultChoice)
    const odd = decodeChoice(new URLSearchParams('kernels=matvec,evil&rows=0,1,1e3,9,8,8&formats=Q4_1,constructor&prompt=99999999999'))
    expect(odd).toMatchObject({ kernels: ['matvec'], decodeRows: [1, 8], formats: [], promptRows: [] })
    expect(isSuiteFormat('constructor')).toBe(false)
  })

  it('whatever a stranger wrote, the cases stay bounded', () => {
    fc.assert(
      fc.property(fc.string(), fc.string(), (rows, positions) => {
        const choice = decodeChoice(new URLSearchParams({ rows, positions, prompt: rows, kernels: SUITE_KERNELS.join() }))
        for (const entry of casesOf(choice)) expect(() => checkCase(entry)).not.toThrow()
      }),
    )
  })
})
