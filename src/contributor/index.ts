/** contributor: a machine that contributes without a browser, by the same rules as a tab. Node only. */

export { type ContributorOptions, openContributor } from './contributor.ts'
