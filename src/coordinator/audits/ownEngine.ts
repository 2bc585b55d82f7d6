/** OwnEngine: the coordinator as an auditor. Its errand is another peer's: rows come from a path with a token, and go there. src/auditor is one. */

import type { AuditOrder } from '../../protocol/index.ts'
import type { AuditorRequest, OwnArithmetic } from '../verification/index.ts'

export interface OwnEngine {
  /** Of the coordinator's memory, for layers, their KV and all else that a pass needs. */
  readonly memoryBytes: number
  /** Whether these layers have room there. */
  fits(request: AuditorRequest): boolean
  /** Resolves when it has brought what was asked for, or refused. Rejects where it could not do either. */
  run(order: AuditOrder, arithmetic: OwnArithmetic): Promise<void>
}
