/** The shader library in Node: WGSL read from shaders/, each file once. */

import { readFileSync } from 'node:fs'

/** Text of `shaders/NAME.wgsl`. Throws when there is no such shader. */
export function readShader(name: string): string {
  const known = texts.get(name)
  if (known !== undefined) return known
  const text = readFileSync(new URL(`../../shaders/${name}.wgsl`, import.meta.url), 'utf8')
  texts.set(name, text)
  return text
}

const texts = new Map<string, string>()
