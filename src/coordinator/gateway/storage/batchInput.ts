/** batchInput: a batch's file, line by line: what is asked, by which name. Each line is checked for its form alone; what it asks is read when its turn comes. */

import * as v from 'valibot'
import { utf8Decode } from '../../../shared/index.ts'

export interface BatchLine {
  /** Where it stands among the lines that are not empty. */
  readonly index: number
  readonly customId: string
  readonly body: Readonly<Record<string, unknown>> & { readonly model: string }
}

/** As OpenAI tells what is wrong with a file. */
export interface BatchFault {
  readonly code: string
  readonly message: string
  readonly param: string | null
  /** From 1 on; null: none in particular. */
  readonly line: number | null
}

/** Of one batch: a file of 16 MiB has as many requests of some length. */
export const LINES_MAX = 10_000
/** Of those told. */
const FAULTS_MAX = 20
const CUSTOM_ID_CHARACTERS_MAX = 512

const lineSchema = v.strictObject({
  custom_id: v.pipe(v.string(), v.minLength(1), v.maxLength(CUSTOM_ID_CHARACTERS_MAX)),
  method: v.literal('POST'),
  url: v.string(),
  body: v.looseObject({ model: v.string() }),
})

/** `endpoint`: the one that all lines name. Faults, where there are any, and else at least one line. */
export function readBatchInput(
  content: Uint8Array,
  endpoint: string,
): { readonly lines: readonly BatchLine[]; readonly faults: readonly BatchFault[] } {
  const lines: BatchLine[] = []
  const faults: BatchFault[] = []
  const names = new Set<string>()
  const fault = (code: string, message: string, param: string | null, line: number | null) => {
    if (faults.length < FAULTS_MAX) faults.push({ code, message, param, line })
  }
  const texts = linesOf(content)
  if (texts === null) fault('invalid_json_line', 'the file is not UTF-8', null, null)
  for (const [at, text] of (texts ?? []).entries()) {
    if (text.trim() === '') continue
    const read = readLine(text)
    if (typeof read === 'string') fault('invalid_json_line', read, null, at + 1)
    else if (read.url !== endpoint)
      fault('mismatched_endpoint', `the line asks ${read.url.slice(0, 100)}, the batch ${endpoint}`, 'url', at + 1)
    else if (names.has(read.custom_id)) fault('duplicate_custom_id', 'the custom_id is another line’s, too', 'custom_id', at + 1)
    else lines.push({ index: lines.length, customId: read.custom_id, body: read.body })
    if (typeof read !== 'string') names.add(read.custom_id)
  }
  if (lines.length > LINES_MAX) fault('too_many_lines', `a batch has at most ${LINES_MAX} lines, and this ${lines.length}`, null, null)
  if (lines.length === 0) fault('empty_file', 'the file has no request', null, null)
  return { lines, faults }
}

function linesOf(content: Uint8Array): readonly string[] | null {
  try {
    return utf8Decode(content).split('\n')
  } catch {
    return null
  }
}

/** What is wrong with it, as a text: without a word of it. */
function readLine(text: string): v.InferOutput<typeof lineSchema> | string {
  try {
    const parsed = v.safeParse(lineSchema, JSON.parse(text))
    if (parsed.success) return parsed.output
    return `${v.getDotPath(parsed.issues[0]) ?? 'the line'} is missing or wrong: a line is {"custom_id", "method": "POST", "url", "body"}`
  } catch {
    return 'the line is no JSON'
  }
}
