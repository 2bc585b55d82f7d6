/**
 * InvitationStore: codes by which accounts join a team. Each works once, for a week, and bears five wrong tries. Who joins by one is of the family of who
 * invited it from then on, unless an operator did: see AccountTies.
 */

import { count, eq, lte } from 'drizzle-orm'
import { required, type Sha256 } from '../../shared/index.ts'
import {
  AccountError,
  badInvitation,
  blockName,
  CODES_A_MINUTE,
  INVITATION_LIFE_MS,
  INVITATIONS_MAX,
  parseCode,
  RateLimits,
} from '../accounts/index.ts'
import { findAccount } from './accountRows.ts'
import { invitations } from './accountSchema.ts'
import type { AccountTools } from './accountStore.ts'
import type { Database, Queries } from './database.ts'
import { familyOfInviter, joinFamily } from './families.ts'
import { sha256 } from './sha256.ts'
import { isRightCode, keepNewCode, type ShownCode } from './shortCodes.ts'
import { addMember, findTeam } from './teamStore.ts'

export interface AcceptedInvitation {
  readonly team: string
  /** Accounts whose ties have changed. */
  readonly tied: readonly string[]
}

export class InvitationStore {
  readonly #queries: Queries
  readonly #tools: AccountTools & { readonly sha256: Sha256 }
  readonly #rates = new RateLimits()

  constructor({ queries }: Database, tools: AccountTools) {
    this.#queries = queries
    this.#tools = { ...tools, sha256 }
  }

  /** `inviter`: null: whoever runs the coordinator. Rejects with AccountError `unknown`, `bad-value` or `too-many-requests`. */
  async create(team: string, inviter: string | null): Promise<ShownCode> {
    const nowMs = this.#nowMs()
    this.#limit(`team ${team}`)
    return this.#queries.transaction(async (tx) => {
      await findTeam(tx, team)
      await tx.delete(invitations).where(lte(invitations.expiresAtMs, nowMs))
      const [alive] = await tx.select({ count: count() }).from(invitations).where(eq(invitations.team, team))
      if (required(alive, 'a count').count >= INVITATIONS_MAX)
        throw new AccountError(
          'bad-value',
          `${INVITATIONS_MAX} invitations to this team are open; take them back, or wait until one is used`,
        )
      return keepNewCode(this.#tools, nowMs + INVITATION_LIFE_MS, async (code) => {
        const added = await tx
          .insert(invitations)
          .values({ ...code, team, inviter })
          .onConflictDoNothing()
          .returning({ handle: invitations.handle })
        return added.length > 0
      })
    })
  }

  /** All invitations to the team that were not used end. */
  async takeBack(team: string): Promise<void> {
    await this.#queries.delete(invitations).where(eq(invitations.team, team))
  }

  /**
   * `account` joins the team whose invitation this is, as somebody typed it. `address`: an IP address; null: none that counts. Rejects with AccountError
   * `bad-code`, `bad-value` or `too-many-requests`.
   */
  async accept(typed: string, account: string, address: string | null): Promise<AcceptedInvitation> {
    this.#limit(`block ${blockName(address)}`)
    const parsed = parseCode(typed)
    if (parsed === null) throw badInvitation()
    // A wrong try must be counted, so it does not break off the transaction.
    const accepted = await this.#queries.transaction(async (tx) => {
      const mine = eq(invitations.handle, parsed.handle)
      const [kept] = await tx.select().from(invitations).where(mine).for('update')
      const now = { sha256: this.#tools.sha256, nowMs: this.#nowMs() }
      const isRight = await isRightCode(kept, parsed.code, now, (attempts) => tx.update(invitations).set({ attempts }).where(mine))
      if (!isRight || kept === undefined) return null
      await findAccount(tx, account)
      await tx.delete(invitations).where(mine)
      await addMember(tx, kept.team, account, false)
      const family = kept.inviter === null ? null : await familyOfInviter(tx, kept.inviter)
      const tied = family === null ? [] : await joinFamily(tx, account, family)
      return { team: kept.team, tied: [...new Set([account, ...tied])] }
    })
    if (accepted === null) throw badInvitation()
    return accepted
  }

  #limit(who: string): void {
    const taken = this.#rates.take(who, CODES_A_MINUTE, this.#nowMs())
    if (!taken.ok) throw taken.error
  }

  #nowMs(): number {
    return Math.floor(this.#tools.clock.nowMs())
  }
}
