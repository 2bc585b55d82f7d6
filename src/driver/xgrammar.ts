/**
 * xgrammar: the library that matches grammars, loaded by hand. Its package calls itself a module and is none: it is a script that wants to be CommonJS's. To be
 * deleted once `import` of it works in Node.
 */

import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { compileFunction, constants } from 'node:vm'

type Library = typeof import('@mlc-ai/web-xgrammar')

/** `onMessage`: what the library would write to the console; a grammar's own words may be in it. */
export function loadXgrammar(onMessage: (text: string) => void): Library {
  const require = createRequire(import.meta.url)
  const path = require.resolve('@mlc-ai/web-xgrammar')
  const names = ['exports', 'module', 'require', '__filename', 'console']
  const importModuleDynamically = constants.USE_MAIN_CONTEXT_DEFAULT_LOADER
  const run = compileFunction(readFileSync(path, 'utf8'), names, { filename: path, importModuleDynamically })
  const module: { exports: Partial<Library> } = { exports: {} }
  const say = (...parts: unknown[]) => onMessage(parts.map(String).join(' '))
  run(module.exports, module, require, path, { log: say, warn: say, error: say })
  return module.exports as Library
}
