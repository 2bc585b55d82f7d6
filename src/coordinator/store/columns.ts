/** Kinds of column that the tables share. */

import { bigint } from 'drizzle-orm/pg-core'

/** Whole numbers up to 2⁵³: sequences, sizes, milliseconds since the epoch. */
export const whole = (name?: string) => maybeWhole(name).notNull()
export const maybeWhole = (name?: string) => (name === undefined ? bigint({ mode: 'number' }) : bigint(name, { mode: 'number' }))

export const microCredits = () => maybeMicroCredits().notNull()
export const maybeMicroCredits = () => bigint({ mode: 'bigint' })
