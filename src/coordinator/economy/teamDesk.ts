/**
 * TeamDesk: what peers ask about the teams of their accounts. Who may what is looked at anew for each request. What it means is the store's; what accounts share
 * with each other has changed at once for those that are connected.
 */

import type { AccountAnswer, AccountAsk, ListedTeam } from '../../protocol/index.ts'
import { unreachable } from '../../shared/index.ts'
import { AccountError } from '../accounts/index.ts'
import { LedgerError, type LedgerEvent } from '../ledger/index.ts'
import type { OwnTeam, TeamRole } from '../store/index.ts'
import type { IdentifiedPeer, PeerAccounts } from './peerAccounts.ts'
import type { EconomyStore } from './ports.ts'

export type TeamAsk = Extract<AccountAsk, { kind: (typeof TEAM_KINDS)[number] }>
type TeamAnswer = Extract<AccountAnswer, { kind: TeamAsk['kind'] }>

export interface TeamDeskOptions {
  readonly store: () => Promise<Pick<EconomyStore, 'accounts' | 'teams' | 'invitations' | 'ledger'>>
  readonly peers: Pick<PeerAccounts, 'tiesChanged'>
  readonly onPosted: (event: LedgerEvent) => void
}

const TEAM_KINDS = [
  'teams',
  'create-team',
  'team',
  'change-team',
  'invite',
  'take-back-invitations',
  'accept-invitation',
  'change-member',
  'remove-member',
  'key-budget',
  'fund-team',
] as const
/** Of the account's id in the reference of a transfer: two accounts that chose the same do not meet. */
const REFERENCE_ID_CHARACTERS = 16

export class TeamDesk {
  readonly #options: TeamDeskOptions

  constructor(options: TeamDeskOptions) {
    this.#options = options
  }

  /** `account`: who asks. Rejects with AccountError. */
  async answer({ address }: Pick<IdentifiedPeer, 'address'>, account: string, ask: TeamAsk): Promise<TeamAnswer> {
    const { store, peers } = this.#options
    const { teams, invitations } = await store()
    const { kind } = ask
    switch (kind) {
      case 'teams':
        return { kind, teams: await this.#listed(await teams.of(account)) }
      case 'create-team':
        return { kind, team: await this.#create(account, ask) }
      case 'team': {
        const role = await this.#roleOf(ask.teamId, account)
        if (role === 'member') return { kind, members: null, invitations: 0 }
        const members = (await teams.members(ask.teamId)).map(({ account: accountId, name, isOwner }) => ({ accountId, name, isOwner }))
        return { kind, members, invitations: await teams.invitationCount(ask.teamId) }
      }
      case 'accept-invitation': {
        const { team, tied } = await invitations.accept(ask.code, account, address)
        await peers.tiesChanged(tied)
        return { kind, teamId: team }
      }
      case 'fund-team':
        await this.#roleOf(ask.teamId, account)
        await this.#fund(account, ask)
        return { kind }
      case 'remove-member':
        if (ask.accountId === account) await this.#roleOf(ask.teamId, account)
        else await this.mustOwn(ask.teamId, account)
        await teams.remove(ask.teamId, ask.accountId)
        await peers.tiesChanged([ask.accountId])
        return { kind }
      default:
        await this.mustOwn(ask.teamId, account)
        return this.#manage(account, ask)
    }
  }

  /** Rejects with AccountError `unknown` who is no member, `not-allowed` a member who is no owner. */
  async mustOwn(teamId: string, account: string): Promise<void> {
    if ((await this.#roleOf(teamId, account)) === 'owner') return
    throw new AccountError('not-allowed', 'this is for the team’s owners; ask one of them')
  }

  /** What an owner may. */
  async #manage(account: string, ask: Exclude<TeamAsk, { kind: MemberKind }>): Promise<TeamAnswer> {
    const { teams, invitations } = await this.#options.store()
    const { kind, teamId } = ask
    switch (kind) {
      case 'change-team': {
        const { name, models, pools } = ask
        await teams.change(teamId, { name, models, pools })
        return { kind }
      }
      case 'invite': {
        const { text, expiresAtMs } = await invitations.create(teamId, account)
        return { kind, code: text, expiresAtMs }
      }
      case 'take-back-invitations':
        await invitations.takeBack(teamId)
        return { kind }
      case 'change-member':
        await this.#roleOf(teamId, ask.accountId)
        await teams.add(teamId, ask.accountId, ask.isOwner ? 'owner' : 'member')
        return { kind }
      case 'key-budget':
        await teams.setBudget(teamId, ask.keyId, ask.budget === null ? null : BigInt(ask.budget))
        return { kind }
      default:
        return unreachable(kind)
    }
  }

  async #create(account: string, { name, models, pools }: Extract<TeamAsk, { kind: 'create-team' }>): Promise<ListedTeam> {
    const { accounts, teams } = await this.#options.store()
    const { roles } = await accounts.record(account)
    if (!roles.includes('requester'))
      throw new AccountError(
        'not-allowed',
        `account ${account} may not ask for answers, so it makes no team; whoever runs this coordinator can change that`,
      )
    const team = await teams.create(name, { models, pools }, account)
    await this.#options.peers.tiesChanged([account])
    const { models: _, pools: __, ...known } = team
    return { ...known, models, pools, isOwner: true, memberCount: 1, spendable: '0' }
  }

  async #fund(account: string, { teamId, amount, reference }: Extract<TeamAsk, { kind: 'fund-team' }>): Promise<void> {
    const { ledger } = await this.#options.store()
    const own = `team-${account.slice(0, REFERENCE_ID_CHARACTERS)}-${reference}`
    try {
      const command = { kind: 'transfer', reference: own, from: account, to: teamId, amount: BigInt(amount) } as const
      this.#options.onPosted((await ledger.post(command)).event)
    } catch (error) {
      if (!(error instanceof LedgerError)) throw error
      if (error.reason !== 'insufficient') throw new AccountError('bad-value', error.message)
      throw new AccountError('bad-value', 'your account has not earned so many credits; granted ones cannot be given away')
    }
  }

  async #listed(own: readonly OwnTeam[]): Promise<ListedTeam[]> {
    const { ledger } = await this.#options.store()
    const spendable = await ledger.spendable(own.map(({ id }) => id))
    return own.map(({ models, pools, ...team }) => {
      const lists = { models: models && [...models], pools: pools && [...pools] }
      return { ...team, ...lists, spendable: (spendable.get(team.id) ?? 0n).toString() }
    })
  }

  /** Rejects with AccountError `unknown` where it is no member. */
  async #roleOf(teamId: string, account: string): Promise<TeamRole> {
    const role = await (await this.#options.store()).teams.roleOf(teamId, account)
    if (role === null) throw new AccountError('unknown', `there is no team ${teamId}, or account ${account} is not in it`)
    return role
  }
}

type MemberKind = 'teams' | 'create-team' | 'team' | 'accept-invitation' | 'fund-team' | 'remove-member'

export function isTeamAsk(ask: AccountAsk): ask is TeamAsk {
  const kinds: readonly string[] = TEAM_KINDS
  return kinds.includes(ask.kind)
}
