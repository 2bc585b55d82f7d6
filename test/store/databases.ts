/**
 * What all files of this project share: one Postgres server, and a PGlite folder with every migration, to be copied. Both are made before the
 * first test and gone after the last.
 */

import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import type { TestProject } from 'vitest/node'
import { openDatabase } from '../../src/coordinator/store/index.ts'
import { startPostgres } from '../support/postgres.ts'

declare module 'vitest' {
  export interface ProvidedContext {
    postgresUrl: string
    pgliteFolder: string
  }
}

export async function setup(project: TestProject): Promise<() => Promise<void>> {
  const folder = mkdtempSync(path.join(tmpdir(), 'tabswarm-pglite-'))
  const made = openDatabase({ kind: 'folder', folder }).then((database) => database.close())
  const [server] = await Promise.all([startPostgres(), made])
  project.provide('postgresUrl', server.url)
  project.provide('pgliteFolder', folder)
  return async () => {
    rmSync(folder, { recursive: true, force: true })
    await server.stop()
  }
}
