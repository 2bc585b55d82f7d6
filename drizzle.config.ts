import { defineConfig } from 'drizzle-kit'

/** `npx drizzle-kit generate --name WHAT` writes the migration that a change of the schema needs. */
export default defineConfig({
  dialect: 'postgresql',
  schema: ['schema', 'accountSchema', 'sealedSchema', 'trustSchema'].map((name) => `./src/coordinator/store/${name}.ts`),
  out: './src/coordinator/store/migrations',
})
