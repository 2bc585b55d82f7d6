/** coordinator/audits: results that verification wants audited, carried out by peers or the coordinator's own engine: rows asked for, checked, computed again, compared. */

export { AUDIT_PATH, AuditExchange, type Errand } from './exchange.ts'
export type { OwnEngine } from './ownEngine.ts'
export { StageAudits } from './stageAudits.ts'
