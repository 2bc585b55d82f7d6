#!/usr/bin/env node
/**
 * The package's command. Node runs this file as it is; it registers tsx, so that the TypeScript sources run without a
 * build, from any folder and also when installed as a dependency. Delete tsx when Node 20 is out of support.
 */

import { fileURLToPath } from 'node:url'

const [major = 0, minor = 0] = process.versions.node.split('.').map(Number)
if (major < 20 || (major === 20 && minor < 19)) {
  process.stderr.write(`tabswarm needs Node.js 20.19 or newer; this is ${process.versions.node}. Install a newer one from nodejs.org.\n`)
  process.exit(1)
}

const { register } = await import('tsx/esm/api')
register({ tsconfig: fileURLToPath(new URL('../tsconfig.json', import.meta.url)) })
await import('../src/cli.ts')
