/** What accounts, their audits, statements and keys are in a scenario, and what the operator's page is answered. */

import type {
  AccountState,
  ApiKeyState,
  AuditVerdict,
  DeviceState,
  LedgerCheck,
  ListedAccountState,
  PeerState,
  StatementPage,
  TeamDetails,
  TeamState,
} from '../../src/peer/index.ts'
import { type ErrorBody, fromErrorBody, type SessionId, type StatementLine } from '../../src/shared/index.ts'
import { type FakeRuntime, MODEL_ID } from '../../src/ui/testing/fakeRuntime.ts'

const ACCOUNT: AccountState = {
  accountId: '7c2e95d0b1f84a63a9d2c7e018f35b44',
  spendable: 9_934_207n,
  granted: 9_871_400n,
  held: 70_112n,
  escrow: 38_204n,
  earned: 62_807n,
  standing: { validInARow: 12, trustedFrom: 10, failures: 0 },
}
const NOTHING_YET: AccountState = {
  ...ACCOUNT,
  spendable: 0n,
  granted: 0n,
  held: 0n,
  escrow: 0n,
  earned: 0n,
  standing: { validInARow: 0, trustedFrom: 10, failures: 0 },
}
const PHRASE = 'harbor velvet orbit candle mimic ribbon tunnel glance pepper acoustic lizard swarm'

const SESSION = '5'.repeat(32) as SessionId
const verdict = (minute: number, found: AuditVerdict['verdict'], changed: Partial<AuditVerdict> = {}): AuditVerdict => ({
  atMs: Date.UTC(2026, 10, 22, 9, minute),
  sessionId: SESSION,
  role: 'stage',
  span: { firstLayer: 0, endLayer: 15 },
  verdict: found,
  reason: 'an auditor agrees',
  ...changed,
})
const disagreed = 'two auditors agree with each other; the distance is 0.0473'
const lost = { ...ACCOUNT, escrow: 0n, standing: { validInARow: 0, trustedFrom: 10, failures: 1 } }

/** While the tab serves. */
const audits: Record<string, Partial<PeerState>> = {
  'audits-passed': { verdicts: [verdict(3, 'valid'), verdict(11, 'undecided'), verdict(19, 'unanswered'), verdict(41, 'valid')] },
  'audits-failed': { account: lost, verdicts: [verdict(3, 'valid'), verdict(41, 'failed', { reason: disagreed })] },
  'audits-odd': {
    account: lost,
    verdicts: [
      verdict(41, 'failed', { role: 'auditor', reason: 'two others agree with each other, and not with what it computed as an auditor' }),
    ],
  },
}

/** What the account scenes change of it. */
const keepings: Record<string, Partial<PeerState>> = {
  account: {},
  'account-new': { account: NOTHING_YET },
  'account-unknown': { account: null },
  'account-unsaved': { accountKeeping: { isKept: true, unsavedPhrase: PHRASE, hasCopy: true } },
  'account-phrase': { accountKeeping: { isKept: true, unsavedPhrase: PHRASE, hasCopy: true } },
  'account-private': { accountKeeping: { isKept: false, unsavedPhrase: PHRASE, hasCopy: true } },
  'account-failed': {},
  'account-first': {
    account: NOTHING_YET,
    accountKeeping: { isKept: true, unsavedPhrase: PHRASE, hasCopy: false },
  },
  'account-code': {},
  'account-join-refused': {},
  'account-restore': {},
  'account-keys': {},
  'account-key-made': {},
  'account-key-revoke': {},
  'account-keys-failed': {},
  'account-restore-unknown': {},
  'account-device-name': {},
  'account-device-remove': {},
  'account-removed': { account: NOTHING_YET, removedAtMs: Date.UTC(2026, 10, 21, 17, 5) },
  'account-team-members': {},
  'account-team-keys': {},
  'account-team-settings': {},
  'account-team-fund': {},
  'account-team-new': {},
  'account-invitation-refused': {},
  'account-erase': {},
  'account-ledger': {},
  'account-ledger-broken': {},
}

const refusals: Record<string, ErrorBody> = {
  'account-join-refused': {
    reason: 'bad-code',
    message: 'this code is wrong, was used, or is older than five minutes; make a new one on the other device',
  },
  'account-invitation-refused': {
    reason: 'bad-code',
    message: 'this invitation is wrong, was used or taken back, or is older than a week; ask for a new one',
  },
  'account-restore-unknown': {
    reason: 'bad-phrase',
    message: 'this is not a recovery phrase: its words do not fit together: one is wrong, or two are exchanged',
  },
}

const amounts = (available: bigint, held = 0n, escrow = 0n) => ({ available, held, escrow, granted: 0n })
const lines: readonly Pick<StatementLine, 'kind' | 'role' | 'available' | 'held' | 'escrow' | 'granted'>[] = [
  { kind: 'issue', role: 'account', ...amounts(10_000_000n) },
  { kind: 'hold', role: 'requester', ...amounts(-70_112n, 70_112n) },
  { kind: 'settle', role: 'requester', ...amounts(0n, -8_071n) },
  { kind: 'release', role: 'requester', ...amounts(62_041n, -62_041n) },
  { kind: 'settle', role: 'volunteer', ...amounts(0n, 0n, 3_309n) },
  { kind: 'cover', role: 'volunteer', ...amounts(0n, 0n, 2_120n) },
  { kind: 'payout', role: 'volunteer', ...amounts(3_309n, 0n, -3_309n) },
  { kind: 'hold', role: 'requester', ...amounts(-61_070n, 61_070n) },
]
/** The month is that of the clock: the times of its lines are what they are. */
const STATEMENT: StatementPage = {
  month: '',
  opening: amounts(0n),
  closing: amounts(9_934_207n, 70_112n, 38_204n),
  lines: lines.map((line, at) => ({ ...line, sequence: at, atMs: Date.UTC(2026, 10, 3 + 2 * at, 9, 41), event: line.kind, session: 's' })),
  cursor: lines.length,
}
const KEYS: readonly ApiKeyState[] = [
  {
    id: '7c2e95d0b1f84a63',
    name: 'laptop',
    models: null,
    pools: null,
    budget: null,
    spent: 70_112n,
    requestsAMinute: null,
    createdAtMs: Date.UTC(2026, 9, 2),
    usedAtMs: Date.UTC(2026, 10, 21),
  },
  {
    id: '1f84a637c2e95d0b',
    name: 'nightly tests of the documentation’s examples',
    models: [MODEL_ID],
    pools: null,
    budget: 20_000_000n,
    spent: 3_420_000n,
    requestsAMinute: 60,
    createdAtMs: Date.UTC(2026, 10, 3),
    usedAtMs: null,
  },
]
const DEVICES: readonly DeviceState[] = [
  {
    publicKey: 'A'.repeat(87),
    name: '',
    addedAtMs: Date.UTC(2026, 8, 14),
    seenAtMs: Date.UTC(2026, 10, 22),
    isConnected: true,
    isOwn: true,
  },
  {
    publicKey: 'B'.repeat(87),
    name: 'the old phone that lies in the drawer of the kitchen',
    addedAtMs: Date.UTC(2026, 9, 2),
    seenAtMs: Date.UTC(2026, 9, 30),
    isConnected: false,
    isOwn: false,
  },
]
const TEAMS: readonly TeamState[] = [
  {
    id: 'a9d2c7e018f35b447c2e95d0b1f84a63',
    name: 'Laboratory for things that have long names',
    isOwner: true,
    memberCount: 3,
    models: [MODEL_ID],
    pools: ['trusted', 'europe'],
    spendable: 120_000_000n,
  },
  {
    id: '8d41aa02c7e018f35b447c2e95d0b1f8',
    name: 'Reading circle',
    isOwner: false,
    memberCount: 12,
    models: null,
    pools: null,
    spendable: 0n,
  },
]
const DETAILS: TeamDetails = {
  members: [
    { accountId: ACCOUNT.accountId, name: 'Ann', isOwner: true },
    { accountId: '8d41aa02c7e018f35b447c2e95d0b1f9', name: '', isOwner: false },
    { accountId: '9d41aa02c7e018f35b447c2e95d0b1f9', name: 'Bob from the other end of the corridor', isOwner: true },
  ],
  invitations: 2,
}
const SEEN = { size: 40_118, root: 'a'.repeat(64), atMs: Date.UTC(2026, 10, 3), publicKey: 'A'.repeat(87), signature: 'A' }
const CHECKED: LedgerCheck = { kind: 'right', head: { ...SEEN, size: 41_207 }, seen: SEEN, lines: 312 }
const CHANGED: LedgerCheck = {
  kind: 'broken',
  what: 'The ledger does not extend what this browser saw before: its past was changed.',
  head: { ...SEEN, size: 41_207 },
  seen: SEEN,
}
const LISTED: readonly ListedAccountState[] = [
  {
    id: ACCOUNT.accountId,
    name: 'Ann',
    roles: ['operator', 'requester', 'volunteer'],
    createdAtMs: Date.UTC(2026, 8, 14),
    spendable: 9_934_207n,
  },
  {
    id: '8d41aa02c7e018f35b447c2e95d0b1f8',
    name: '',
    roles: ['requester', 'volunteer'],
    createdAtMs: Date.UTC(2026, 10, 2),
    spendable: 0n,
  },
  {
    id: 'a9d2c7e018f35b447c2e95d0b1f84a63',
    name: 'Laboratory for things that have long names in many words',
    roles: [],
    createdAtMs: Date.UTC(2026, 10, 20),
    spendable: 120_000_000n,
  },
]

/** Its tab serves, and was audited. */
export const isAudited = (name: string): boolean => name in audits

export function accountState(name: string): Partial<PeerState> {
  return {
    account: ACCOUNT,
    prices: new Map([[MODEL_ID, { decode: 134_515_021n, prompt: 33_600_400n, tiers: { spot: 0.5, standard: 1, priority: 2 } }]]),
    bills: new Map([[SESSION, { held: 70_112n, charged: name === 'chat-done' ? 8_071n : null }]]),
    ...keepings[name],
    ...audits[name],
  }
}

/** What the coordinator answers to the pages of accounts and operators. */
export function playAccount(runtime: FakeRuntime, name: string): void {
  if (name === 'account') runtime.statementPages = [STATEMENT]
  if (name === 'account-failed')
    runtime.statement = () => Promise.reject(fromErrorBody({ reason: 'timeout', message: 'the coordinator did not answer within 20 s' }))
  if (name in keepings && name !== 'account-new') runtime.apiKeys = KEYS
  if (name in keepings) runtime.devices = name === 'account-new' || name === 'account-removed' ? DEVICES.slice(0, 1) : DEVICES
  runtime.ledgerCheck = name === 'account-ledger-broken' ? CHANGED : CHECKED
  if (name === 'account' || name.startsWith('account-team')) {
    runtime.teamList = TEAMS
    runtime.teamDetails = DETAILS
    runtime.teamKeys = KEYS.slice(1)
  }
  if (name === 'account-keys-failed')
    runtime.account.apiKeys = () =>
      Promise.reject(fromErrorBody({ reason: 'busy', message: 'the coordinator answers others now; try again in a moment' }))
  if (name.startsWith('admin')) playOperator(runtime, name)
  const refusal = refusals[name]
  if (refusal !== undefined) {
    const refuse = () => Promise.reject(fromErrorBody(refusal))
    runtime.account = { ...runtime.account, findByPhrase: refuse, join: refuse }
    runtime.teams = { ...runtime.teams, accept: refuse }
  }
}

function playOperator(runtime: FakeRuntime, name: string): void {
  if (name !== 'admin-empty') runtime.listedAccounts = LISTED
  const { operator } = runtime
  if (name === 'admin-refused')
    operator.overview = () =>
      Promise.reject(
        fromErrorBody({
          reason: 'not-allowed',
          message: `this page is for operators, and the account ${ACCOUNT.accountId} is none; give it the role on the coordinator’s machine: tabswarm account change ${ACCOUNT.accountId} --roles operator,requester,volunteer`,
        }),
      )
  if (name === 'admin-broken')
    operator.verifyLedger = async () => ({
      kind: 'broken',
      message:
        'the balance of user/7c2e95d0b1f84a63a9d2c7e018f35b44/earned is recorded as 7 micro-credits, its postings add up to 5; run tabswarm ledger rebuild',
    })
}
