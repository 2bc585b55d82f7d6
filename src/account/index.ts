/** account: who a browser earns and pays as: its key, its recovery phrase, and the certificates of its peers. */

export { type AccountVault, BrowserAccount, type KeptAccount, openKept } from './account.ts'
export { memoryVault, openAccountVault } from './vault.ts'
