/**
 * Whether another adapter of this `npm test` does the costlier half of a proof, so that this one does the other: scripts/test.mjs
 * says so to the slowest of several.
 */
export const isShortRun = process.env.TABSWARM_PROMPTS === 'short'
