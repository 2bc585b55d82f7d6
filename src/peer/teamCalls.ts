/** What a page asks about teams, over the tab's own connection: the coordinator looks at its account's part in them each time. */

import type { ControlClient } from '../network/index.ts'
import type { ListedTeam } from '../protocol/index.ts'
import { toHex } from '../shared/index.ts'
import type { TeamCalls, TeamScope, TeamState } from './teamTypes.ts'

export interface TeamCallsOptions {
  readonly control: () => Promise<ControlClient>
  readonly randomBytes: (count: number) => Uint8Array
}

const REFERENCE_BYTES = 16

export function createTeamCalls({ control, randomBytes }: TeamCallsOptions): TeamCalls {
  const ask = async (...[asked]: Parameters<ControlClient['account']>) => void (await (await control()).account(asked))
  return {
    async list() {
      return (await (await control()).account({ kind: 'teams' })).teams.map(teamOf)
    },
    async create(name, scope) {
      return teamOf((await (await control()).account({ kind: 'create-team', name, ...lists(scope) })).team)
    },
    async details(teamId) {
      const { members, invitations } = await (await control()).account({ kind: 'team', teamId })
      return members === null ? null : { members, invitations }
    },
    change: (teamId, name, scope) => ask({ kind: 'change-team', teamId, name, ...lists(scope) }),
    async invite(teamId) {
      const { code, expiresAtMs } = await (await control()).account({ kind: 'invite', teamId })
      return { code, expiresAtMs }
    },
    takeBackInvitations: (teamId) => ask({ kind: 'take-back-invitations', teamId }),
    accept: (code) => ask({ kind: 'accept-invitation', code }),
    changeMember: (teamId, accountId, isOwner) => ask({ kind: 'change-member', teamId, accountId, isOwner }),
    removeMember: (teamId, accountId) => ask({ kind: 'remove-member', teamId, accountId }),
    setKeyBudget: (teamId, keyId, budget) => ask({ kind: 'key-budget', teamId, keyId, budget: budget === null ? null : budget.toString() }),
    fund: (teamId, amount, reference) => ask({ kind: 'fund-team', teamId, amount: amount.toString(), reference }),
    newReference: () => toHex(randomBytes(REFERENCE_BYTES)),
  }
}

function teamOf({ spendable, ...team }: ListedTeam): TeamState {
  return { ...team, spendable: BigInt(spendable) }
}

function lists({ models, pools }: TeamScope): { models: string[] | null; pools: string[] | null } {
  return { models: models && [...models], pools: pools && [...pools] }
}
