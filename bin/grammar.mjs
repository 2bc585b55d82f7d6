/** The thread of a driver's grammars: as driver.mjs, it registers tsx, and then runs. */

import { fileURLToPath } from 'node:url'
import { register } from 'tsx/esm/api'

register({ tsconfig: fileURLToPath(new URL('../tsconfig.json', import.meta.url)) })
await import('../src/driver/grammar.worker.ts')
