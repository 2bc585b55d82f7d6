/** The shader library in the browser: every WGSL file, bundled as text by Vite. */

import { required } from '../shared/index.ts'

const texts: Readonly<Record<string, string>> = import.meta.glob('/shaders/*.wgsl', { query: '?raw', eager: true, import: 'default' })

/** Text of `shaders/NAME.wgsl`. Asserts that it exists. */
export function bundledShader(name: string): string {
  return required(texts[`/shaders/${name}.wgsl`], `the shader ${name}`)
}
