/** coordinator/audits: results that verification wants audited, carried out by peers: rows asked for, checked, computed again, compared. */

export { AUDIT_PATH, AuditExchange, type Errand } from './exchange.ts'
export { PeerAudits } from './peerAudits.ts'
