/** The process of the coordinator's own auditor: as tabswarm.mjs, it registers tsx, and then runs. */

import { fileURLToPath } from 'node:url'
import { register } from 'tsx/esm/api'

register({ tsconfig: fileURLToPath(new URL('../tsconfig.json', import.meta.url)) })
await import('../src/auditor/auditor.process.ts')
