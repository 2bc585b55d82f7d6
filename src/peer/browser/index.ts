/** peer/browser: what only a page can observe for its peer. */

export { openHeadVault } from './headVault.ts'
export { watchHost } from './watchHost.ts'
