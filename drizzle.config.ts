import { defineConfig } from 'drizzle-kit'

/** `npx drizzle-kit generate --name WHAT` writes the migration that a change of the schema needs. */
export default defineConfig({
  dialect: 'postgresql',
  schema: ['./src/coordinator/store/schema.ts', './src/coordinator/store/accountSchema.ts', './src/coordinator/store/trustSchema.ts'],
  out: './src/coordinator/store/migrations',
})
