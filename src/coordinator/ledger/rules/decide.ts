/** Which rule a command follows. */

import { ok, type Result, unreachable } from '../../../shared/index.ts'
import type { Posting } from '../accounts.ts'
import type { Command } from '../commands.ts'
import type { LedgerError } from '../errors.ts'
import { audit } from './audit.ts'
import { canary } from './canary.ts'
import { compensate } from './compensate.ts'
import { cover, refund } from './failure.ts'
import { expire, issue } from './issue.ts'
import { hold, payout, release, settle } from './session.ts'
import { transfer } from './transfer.ts'
import type { LedgerView } from './view.ts'

export function decide(command: Command, view: LedgerView, atMs: number): Result<readonly Posting[], LedgerError> {
  switch (command.kind) {
    case 'price':
      return ok([])
    case 'issue':
      return issue(command, view, atMs)
    case 'expire':
      return expire(command, view, atMs)
    case 'hold':
      return hold(command, view, atMs)
    case 'settle':
      return settle(command, view, atMs)
    case 'cover':
      return cover(command, view, atMs)
    case 'release':
      return release(command, view, atMs)
    case 'payout':
      return payout(command, view, atMs)
    case 'refund':
      return refund(command, view, atMs)
    case 'audit':
      return audit(command, view, atMs)
    case 'canary':
      return canary(command, view, atMs)
    case 'transfer':
      return transfer(command, view, atMs)
    case 'compensate':
      return compensate(command, view, atMs)
    default:
      return unreachable(command)
  }
}
