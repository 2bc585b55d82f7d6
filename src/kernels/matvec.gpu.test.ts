/** matvec against f64 sums over the exactly dequantized weights: every type, odd sizes, all forms, and what is fused into it. */

import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { KernelHarness, nmse, seededBlocks, seededValues } from '../../test/support/kernelHarness.ts'
import { dequantize, type TensorType, tensorTypes } from '../model/index.ts'
import { gatedActivationReference, rmsNormReference } from './elementwise.reference.ts'
import { matmulReference } from './matmul.reference.ts'
import { bindMatvec, groupRows, type MatvecVariant, matvec } from './matvec.ts'
import { defaultForm, formsFor } from './matvecForm.ts'
import { panelCount, panelWords, toPanels, weightLayout } from './weightLayout.ts'

let harness: KernelHarness
beforeAll(async () => {
  harness = await KernelHarness.open()
})
afterAll(() => harness.close())

/** Elements before the outputs in a row of y, and behind them. */
const BEFORE = 4
const BEHIND = 8
const EPSILON = 1e-5

interface Case {
  readonly type: TensorType
  readonly columns: number
  readonly outputs: number
  readonly x: Float32Array
  readonly variant?: Partial<MatvecVariant>
  readonly accumulate?: boolean
  readonly norm?: Float32Array
  readonly bias?: Float32Array
}

const seedOf = (type: TensorType) => 11 + tensorTypes.indexOf(type)

/** Weights as in a file and their values; with a gate there are two matrices. */
function weightsOf({ type, columns, outputs }: Case, index = 0) {
  const bytes = seededBlocks(type, seedOf(type) + 100 * index, outputs * columns)
  return { bytes, values: dequantize(type, bytes) }
}

/** y of [rows, outputs]; fails when anything else of y was touched. */
async function run(subject: Case): Promise<Float32Array> {
  const { type, columns, outputs, x, accumulate = false, norm, bias } = subject
  const rows = x.length / columns
  const group = groupRows(rows)
  const variant: MatvecVariant = { type, rows: group, lanes: 1, ...subject.variant }
  const yStride = BEFORE + outputs + BEHIND
  const padded = new Float32Array(group * columns).fill(1)
  padded.set(x)
  const shape = { type, columns, outputs, yStride, yOffset: BEFORE, accumulate, epsilon: EPSILON }
  const buffers = {
    weights: variant.gated ? gatedPanels(subject) : toPanels(type, weightsOf(subject).bytes, columns, 0, outputs),
    x: padded,
    y: new Float32Array(group * yStride).fill(7),
    norm: norm ?? new Float32Array(4),
    bias: bias ?? new Float32Array(4),
  }
  const { y } = await harness.runMany(buffers, ['y'], async (kernels, bound) =>
    bindMatvec(kernels, variant, shape, {
      weights: bound('weights'),
      x: bound('x'),
      y: bound('y'),
      ...(norm === undefined ? {} : { norm: bound('norm') }),
      ...(bias === undefined ? {} : { bias: bound('bias') }),
    }),
  )
  const result = new Float32Array(rows * outputs)
  for (let row = 0; row < group; row++) {
    const begin = row * yStride + BEFORE
    if (row < rows) result.set(y.subarray(begin, begin + outputs), row * outputs)
    expect(y.subarray(row * yStride, begin).every((value) => value === 7)).toBe(true)
    expect(y.subarray(begin + outputs, (row + 1) * yStride).every((value) => value === 7)).toBe(true)
  }
  return result
}

/** Panels of two matrices in turn. */
function gatedPanels(subject: Case): Uint32Array {
  const { type, columns, outputs } = subject
  const words = panelWords(type, columns)
  const joined = new Uint32Array(2 * panelCount(outputs) * words)
  for (const index of [0, 1]) {
    const panels = toPanels(type, weightsOf(subject, index).bytes, columns, 0, outputs)
    for (let panel = 0; panel < panelCount(outputs); panel++) {
      joined.set(panels.subarray(panel * words, (panel + 1) * words), (2 * panel + index) * words)
    }
  }
  return joined
}

const small = (type: TensorType) => ({ type, columns: weightLayout(type).blockColumns === 256 ? 512 : 96 })

describe('matvec', () => {
  for (const type of tensorTypes) {
    for (const [rows, outputs, lanes] of [
      [1, 64, 1],
      [1, 65, 4],
      // A type's bits are unpacked alike for any rows, and software adapters compile many rows for seconds.
      ...(['F16', 'Q4_1'].includes(type)
        ? ([
            [3, 130, 1],
            [8, 70, 2],
          ] as const)
        : []),
    ] as const) {
      it(`${type}: ${rows} rows, ${outputs} outputs, ${lanes} lanes`, async () => {
        const subject: Case = { ...small(type), outputs, x: seededValues(5, rows * small(type).columns), variant: { lanes } }
        const expected = matmulReference(weightsOf(subject).values, subject.x, subject.columns, outputs)
        expect(nmse(await run(subject), expected)).toBeLessThan(matvec.nmseMax)
      })
    }
  }

  it('adds a bias, and what is there when it accumulates', async () => {
    const subject: Case = { type: 'Q8_0', columns: 64, outputs: 70, x: seededValues(6, 128), accumulate: true, bias: seededValues(7, 70) }
    const y = await run({ ...subject, variant: { biased: true } })
    const sums = matmulReference(weightsOf(subject).values, subject.x, 64, 70)
    expect(
      nmse(
        y,
        sums.map((value, index) => value + (subject.bias?.[index % 70] ?? 0) + 7),
      ),
    ).toBeLessThan(matvec.nmseMax)
  })

  for (const lanes of [1, 4]) {
    it(`norms x on the way, ${lanes} lanes`, async () => {
      const columns = 288
      const subject: Case = { type: 'Q4_1', columns, outputs: 100, x: seededValues(8, 3 * columns), norm: seededValues(9, columns) }
      const y = await run({ ...subject, variant: { normed: true, lanes } })
      const normed = rmsNormReference(subject.x, subject.norm ?? [], EPSILON)
      expect(nmse(y, matmulReference(weightsOf(subject).values, normed, columns, 100))).toBeLessThan(matvec.nmseMax)
    })
  }

  for (const gated of ['silu', 'gelu'] as const) {
    for (const [rows, outputs, lanes] of [
      [1, 64, 1],
      [2, 100, 1],
      [8, 130, 4],
    ] as const) {
      it(`multiplies ${gated}(gate) with up: ${rows} rows, ${outputs} outputs, ${lanes} lanes`, async () => {
        const subject: Case = { type: 'Q4_0', columns: 128, outputs, x: seededValues(10, rows * 128), norm: seededValues(9, 128) }
        const y = await run({ ...subject, variant: { gated, lanes, normed: true } })
        const normed = rmsNormReference(subject.x, subject.norm ?? [], EPSILON)
        const [gate, up] = [0, 1].map((index) => matmulReference(weightsOf(subject, index).values, normed, 128, outputs))
        const joined = new Float64Array(2 * rows * outputs)
        for (let row = 0; row < rows; row++) {
          joined.set(gate?.subarray(row * outputs, (row + 1) * outputs) ?? [], 2 * row * outputs)
          joined.set(up?.subarray(row * outputs, (row + 1) * outputs) ?? [], (2 * row + 1) * outputs)
        }
        expect(nmse(y, gatedActivationReference(joined, outputs, gated))).toBeLessThan(matvec.nmseMax)
      })
    }
  }

  // Software adapters compile eight rows of a K format for many seconds; one format of each kind shows it in fewer.
  for (const [type, counts] of [
    ['Q4_1', [1, 3, 8]],
    ['Q6_K', [1, 2]],
  ] as const) {
    it(`${type}: gives a row the same bits in every form this adapter has, alone and in a group`, async () => {
      const { columns } = small(type)
      const rows = Math.max(...counts)
      const subject: Case = { type, columns, outputs: 100, x: seededValues(8, rows * columns), norm: seededValues(9, columns) }
      const [first = defaultForm, ...others] = formsFor(harness.subgroups, 1)
      expect(others.length).toBeGreaterThan(0)
      const whole = await run({ ...subject, variant: { form: first, normed: true } })
      for (const form of [first, ...others]) {
        for (const count of form === first ? counts : [1, rows]) {
          const part = await run({ ...subject, x: subject.x.subarray(0, count * columns), variant: { form, normed: true } })
          expect(part, `${count} rows, ${JSON.stringify(form)}`).toEqual(whole.subarray(0, count * 100))
        }
      }
    })
  }

  it('refuses columns that are no whole blocks, and forms that do not divide a panel', () => {
    const shape = { type: 'Q4_1', columns: 48, outputs: 64, yStride: 64, yOffset: 0, accumulate: false } as const
    expect(() => matvec.uniform(shape)).toThrow('48 columns are not a multiple of 32')
    const form = { outputs: 3, width: 16, subgroup: 0 } as const
    expect(() => matvec.defines({ type: 'Q4_1', rows: 1, lanes: 1, form })).toThrow('do not divide a panel')
  })
})
