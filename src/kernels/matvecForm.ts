/**
 * Forms of matvec: how a panel's outputs are spread over invocations, and whether these load x for each other. Forms of equal
 * lanes that all share loads, or all do not, give equal bits, so tuning may choose among them; `lanes` is no form, it belongs to the numeric class.
 */

import { assert } from '../shared/index.ts'
import { PANEL_OUTPUTS } from './weightLayout.ts'

export interface MatvecForm {
  /** Of one invocation: 1, 2, 4 or 8. More share what is loaded of x, and need more registers. */
  readonly outputs: number
  /** Invocations side by side; outputs × width divides a panel. */
  readonly width: number
  /** Every subgroup has at least so many invocations, which load x for each other: 4 or 8; 0: each loads for itself. Needs the feature `subgroups`, and one lane. */
  readonly subgroup: 0 | 4 | 8
}

/** The form for one row, and that for a group of rows. */
export interface MatvecTuning {
  readonly single: MatvecForm
  readonly group: MatvecForm
}

/** All that are worth a try, whatever the adapter; `formsFor` says which it can run. */
export const matvecForms: readonly MatvecForm[] = [
  { outputs: 4, width: 16, subgroup: 0 },
  { outputs: 2, width: 32, subgroup: 0 },
  { outputs: 4, width: 16, subgroup: 4 },
  { outputs: 8, width: 8, subgroup: 4 },
  { outputs: 4, width: 16, subgroup: 8 },
  { outputs: 8, width: 8, subgroup: 8 },
]

/** What an adapter says of itself. */
export interface SubgroupInfo {
  /** Whether the device has the feature. */
  readonly subgroups: boolean
  readonly subgroupMinSize: number
}

/**
 * Forms that the adapter can run and that give equal bits, the likeliest first. Sharing and not sharing loads are not mixed: Mesa rounds a
 * normed x otherwise when it comes from another invocation. With several lanes a subgroup may span blocks, so none may share.
 */
export function formsFor({ subgroups, subgroupMinSize }: SubgroupInfo, lanes: number): readonly MatvecForm[] {
  const limit = subgroups && lanes === 1 && subgroupMinSize >= 4 ? subgroupMinSize : 0
  return matvecForms
    .filter(({ subgroup, width }) => subgroup <= Math.min(limit, width) && subgroup > 0 === limit > 0)
    .sort((a, b) => b.subgroup - a.subgroup)
}

/** Where nothing is known of the adapter. */
export const defaultForm: MatvecForm = { outputs: 4, width: 16, subgroup: 0 }

/** How the workgroups of a form divide a panel, or with a gate a pair of panels. */
export interface FormDivision {
  readonly panelsAtOnce: 1 | 2
  /** Outputs of an invocation in each panel. */
  readonly share: number
  /** Workgroups for a panel, or pair. */
  readonly slices: number
}

export function divideForm({ outputs, width }: MatvecForm, gated: boolean): FormDivision {
  const panelsAtOnce = gated ? 2 : 1
  const share = outputs / panelsAtOnce
  const slices = PANEL_OUTPUTS / (share * width)
  assert(Number.isInteger(share) && Number.isInteger(slices), `${outputs} outputs for each of ${width} invocations do not divide a panel`)
  return { panelsAtOnce, share, slices }
}
