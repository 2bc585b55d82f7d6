/** peer/browser: what only a page can observe for its peer. */

export { watchHost } from './watchHost.ts'
