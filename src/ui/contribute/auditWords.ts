/** What audits found of this tab's work, in plain words: how its account stands, and what each verdict means for it. */

import type { AuditVerdict } from '../../peer/index.ts'
import type { Standing } from '../../protocol/index.ts'
import { formatCount, formatSpan } from '../format.ts'

export function describeStanding({ validInARow, trustedFrom, failures }: Standing): string {
  const newcomer = `Until ${trustedFrom} have passed in a row, every answer that you compute for is audited, half of your share pays for audits, and what you earn waits in escrow.`
  const trusted = `This account is trusted: only some of its answers are audited, unforeseeably, and each audit that passes pays out what waits in escrow.`
  const warning =
    failures === 0
      ? ''
      : ` ${formatCount(failures, 'result')} of it ${failures === 1 ? 'was' : 'were'} found wrong; one more may shut it out.`
  return `${validInARow >= trustedFrom ? trusted : newcomer}${warning}`
}

const OUTCOMES: Readonly<Record<AuditVerdict['verdict'], string>> = {
  valid: 'passed',
  failed: 'found wrong',
  unanswered: 'not answered in time, and not paid',
  undecided: 'nobody else could check it; paid all the same after a while',
}

/** One line of a list. */
export function describeVerdict({ role, span, verdict }: AuditVerdict): string {
  if (role === 'driver') return `what this tab signed as the asker: ${OUTCOMES[verdict]}`
  const layers = span === null ? 'its layers' : formatSpan(span)
  return role === 'auditor' ? `${layers}, computed for an audit: ${OUTCOMES[verdict]}` : `${layers}: ${OUTCOMES[verdict]}`
}

export interface Alarm {
  readonly title: string
  /** What was found, what follows, and what to do. */
  readonly lines: readonly string[]
}

/** Of the last failure that was told, until the account is trusted again; null: there is nothing to worry about. */
export function alarmOf(verdicts: readonly AuditVerdict[], standing: Standing): Alarm | null {
  const failed = verdicts.findLast(({ verdict }) => verdict === 'failed')
  if (failed === undefined || standing.validInARow >= standing.trustedFrom) return null
  const ends =
    'All that this account had in escrow went back to those who paid it, and its row of passed audits begins anew. A second time shuts it out.'
  const found = `What was found: ${failed.reason}.`
  if (failed.role === 'driver')
    return { title: 'What this tab signed was contradicted', lines: [`As the asker of an answer. ${found}`, ends] }
  const layers = failed.span === null ? 'its layers' : formatSpan(failed.span)
  return {
    title: failed.role === 'auditor' ? 'This tab computed an audit wrong' : 'An audit found this tab’s work wrong',
    lines: [
      `It computed ${layers} of an answer. ${found}`,
      failed.role === 'auditor' ? ends : `That answer pays nothing. ${ends}`,
      'If nobody changed anything here on purpose, this GPU computes wrong: update its driver, undo overclocking, or open this page with ?engine=wasm to compute on the processor instead.',
    ],
  }
}
