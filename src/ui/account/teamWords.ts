/** Teams in words. */

import type { TeamMemberState, TeamScope } from '../../peer/index.ts'

/** `Its keys may use all models in all pools.` */
export function describeTeamScope({ models, pools }: TeamScope): string {
  const what = models === null ? 'all models' : `only ${models.join(', ')}`
  return `Its keys may use ${what}, in ${pools === null ? 'all pools' : `the pools ${pools.join(', ')}`}.`
}

/** Its name where it has one, else the beginning of its id. */
export function memberName({ name, accountId }: Pick<TeamMemberState, 'name' | 'accountId'>): string {
  return name === '' ? `Account ${accountId.slice(0, 8)}` : name
}
