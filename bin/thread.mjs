/** What a thread of the coordinator begins with: as tabswarm.mjs, it registers tsx, and then runs the driver. */

import { fileURLToPath } from 'node:url'
import { register } from 'tsx/esm/api'

register({ tsconfig: fileURLToPath(new URL('../tsconfig.json', import.meta.url)) })
await import('../src/driver/driver.thread.ts')
