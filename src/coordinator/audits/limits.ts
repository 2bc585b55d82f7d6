/** Bounds of audits that are carried out, each with its reason. */

import { AUDIT_BYTES_MAX } from '../../protocol/index.ts'

/** At once: newcomers' results are all audited, a busy coordinator ends tens of sessions a second, an audit takes seconds. */
export const AUDITS_MAX = 512

/** Of the rows of all of them, those that are expected included. What finds no room is not audited. */
export const AUDITS_BYTES_MAX = 4 * AUDIT_BYTES_MAX

/** Values that are compared before others have their turn, a row at least: 5 ms, 15 before they are compiled. */
export const VALUES_AT_ONCE = 8_192
