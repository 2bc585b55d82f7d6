/**
 * How much of the costly proofs this run of GPU tests computes; scripts/test.mjs says so by adapter. `half`: another adapter of the same
 * `npm test` does the rest, `usual`: this one is alone, `all`: with large tiles of every type.
 */
export const proofs = process.env.TABSWARM_PROOFS ?? 'usual'
