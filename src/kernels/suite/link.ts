/**
 * A choice of cases in a link's search parameters, so that two people can run the same: lists with commas, names as they are.
 * What a link doesn't say is the default; what it says wrongly is left out, as a stranger may have written it.
 */

import { POSITIONS_MAX, ROWS_MAX } from './cases.ts'
import { isSuiteFormat } from './formats.ts'
import { defaultChoice, type SuiteChoice, suitePresets } from './presets.ts'
import { SUITE_KERNELS } from './types.ts'

/** Entries of one list; more than any choice of ours has. */
const LIST_MAX = 32

/** `kernels=matvec,matmul&presets=…`: every list, also those that are the default's, so that a link stays what it was. */
export function encodeChoice(choice: SuiteChoice): URLSearchParams {
  return new URLSearchParams({
    kernels: choice.kernels.join(),
    presets: choice.presets.join(),
    formats: choice.formats.join(),
    kv: choice.kvFormats.join(),
    rows: choice.decodeRows.join(),
    prompt: choice.promptRows.join(),
    positions: choice.positions.join(),
  })
}

export function decodeChoice(parameters: URLSearchParams): SuiteChoice {
  const list = <Value>(name: string, otherwise: readonly Value[], parse: (text: string) => Value | null): readonly Value[] => {
    const text = parameters.get(name)
    if (text === null) return otherwise
    const values = text.split(',', LIST_MAX).map((part) => parse(part.trim()))
    return [...new Set(values.filter((value) => value !== null))]
  }
  const whole = (max: number) => (text: string) => {
    const value = Number(text)
    return /^\d+$/.test(text) && value >= 1 && value <= max ? value : null
  }
  return {
    kernels: list('kernels', defaultChoice.kernels, (text) => SUITE_KERNELS.find((name) => name === text) ?? null),
    presets: list('presets', defaultChoice.presets, (text) => suitePresets.find(({ id }) => id === text)?.id ?? null),
    formats: list('formats', defaultChoice.formats, (text) => (isSuiteFormat(text) ? text : null)),
    kvFormats: list('kv', defaultChoice.kvFormats, (text) => (text === 'f32' || text === 'f16' ? text : null)),
    decodeRows: list('rows', defaultChoice.decodeRows, whole(8)),
    promptRows: list('prompt', defaultChoice.promptRows, whole(ROWS_MAX)),
    positions: list('positions', defaultChoice.positions, whole(POSITIONS_MAX)),
  }
}
