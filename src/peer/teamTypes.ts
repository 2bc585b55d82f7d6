/** What a page shows of the teams of its account, and asks of them. Amounts are micro-credits, exact. The calls are teamCalls.ts's. */

/** What the keys of a team may use; null: all. */
export interface TeamScope {
  readonly models: readonly string[] | null
  readonly pools: readonly string[] | null
}

export interface TeamState extends TeamScope {
  readonly id: string
  readonly name: string
  /** Whether this account is one of its owners. */
  readonly isOwner: boolean
  readonly memberCount: number
  /** Micro-credits. */
  readonly spendable: bigint
}

export interface TeamMemberState {
  readonly accountId: string
  /** Empty: none. */
  readonly name: string
  readonly isOwner: boolean
}

/** What only owners see; null for others. */
export interface TeamDetails {
  readonly members: readonly TeamMemberState[]
  /** That work. */
  readonly invitations: number
}

/** Each rejects with a TabswarmError: `not-allowed` where it is for owners, `unknown` where this account is no member, `offline`. */
export interface TeamCalls {
  /** Of this account, by name. */
  list(): Promise<readonly TeamState[]>
  create(name: string, scope: TeamScope): Promise<TeamState>
  details(teamId: string): Promise<TeamDetails | null>
  change(teamId: string, name: string, scope: TeamScope): Promise<void>
  /** A code for one account, `K7QF-2M9X-TB4C`, and until when it works (coordinator time). */
  invite(teamId: string): Promise<{ readonly code: string; readonly expiresAtMs: number }>
  /** All that were not used. */
  takeBackInvitations(teamId: string): Promise<void>
  /** This account becomes a member. Reasons: `bad-code`, `too-many-requests`, `bad-value`. */
  accept(code: string): Promise<void>
  changeMember(teamId: string, accountId: string, isOwner: boolean): Promise<void>
  /** Itself too: it leaves. */
  removeMember(teamId: string, accountId: string): Promise<void>
  /** Micro-credits that one of its keys may spend in all; null: as much as the team has. */
  setKeyBudget(teamId: string, keyId: string, budget: bigint | null): Promise<void>
  /** Earned credits of this account become the team's. `reference`: repeated with the same one, once. */
  fund(teamId: string, amount: bigint, reference: string): Promise<void>
  newReference(): string
}
