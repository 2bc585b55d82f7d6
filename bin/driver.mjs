/** The process of the coordinator's driver: as tabswarm.mjs, it registers tsx, and then runs. */

import { fileURLToPath } from 'node:url'
import { register } from 'tsx/esm/api'

register({ tsconfig: fileURLToPath(new URL('../tsconfig.json', import.meta.url)) })
await import('../src/driver/driver.process.ts')
