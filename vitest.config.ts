import { defineConfig } from 'vitest/config'

/** Longer proofs run with `npm run test:long` alone. */
const exclude = process.env.TABSWARM_LONG === '1' ? [] : ['**/*.long.test.ts']

/** GPU tests share one adapter and two cores: files of `gpu` and `e2e` run one after another, each with room to compile. */
export default defineConfig({
  test: {
    // By default one core stays idle: of two that is half.
    maxWorkers: '100%',
    projects: [
      {
        test: {
          name: 'unit',
          include: ['src/**/*.test.{ts,tsx}', 'test/unit/**/*.test.{ts,tsx}'],
          exclude: ['src/**/*.gpu.test.ts'],
          // Seconds on a core of its own; scripts/test.mjs runs browsers beside it, which go first.
          testTimeout: 120_000,
          hookTimeout: 120_000,
          expect: { poll: { timeout: 30_000 } },
        },
      },
      {
        test: {
          name: 'model',
          include: ['test/model/**/*.test.ts'],
          exclude,
          testTimeout: 300_000,
          hookTimeout: 300_000,
        },
      },
      {
        test: {
          name: 'store',
          include: ['test/store/**/*.test.ts'],
          exclude,
          globalSetup: 'test/store/databases.ts',
          // Databases share the cores with their clients: a file after the other, and PGlite's code is read and compiled for all of them once.
          fileParallelism: false,
          isolate: false,
          testTimeout: 300_000,
          hookTimeout: 300_000,
        },
      },
      {
        test: {
          name: 'gpu',
          include: ['src/**/*.gpu.test.ts', 'test/golden/**/*.test.ts'],
          exclude,
          pool: 'forks',
          fileParallelism: false,
          // Everything else may run beside it, and browsers go first.
          testTimeout: 600_000,
          hookTimeout: 600_000,
        },
      },
      {
        test: {
          // scripts/testClients.mjs makes their environment.
          name: 'clients',
          include: ['test/clients/**/*.test.ts'],
        },
      },
      {
        test: {
          name: 'e2e',
          include: ['test/e2e/**/*.test.ts'],
          exclude,
          pool: 'forks',
          fileParallelism: false,
          testTimeout: 300_000,
          hookTimeout: 300_000,
        },
      },
    ],
  },
})
