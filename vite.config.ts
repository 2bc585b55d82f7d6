import react from '@vitejs/plugin-react'
import { defineConfig, type Plugin } from 'vite'
import { compileSimdKernels } from './src/node/wasm/index.ts'

const SIMD_KERNELS = 'virtual:simd-kernels'

/** The kernels of tabs without a GPU, compiled from src/worker/simd/assembly. */
function simdKernels(): Plugin {
  return {
    name: 'simd-kernels',
    resolveId: (id) => (id === SIMD_KERNELS ? `\0${SIMD_KERNELS}` : null),
    async load(id) {
      if (id !== `\0${SIMD_KERNELS}`) return null
      const text = async (shared: boolean) => JSON.stringify(Buffer.from(await compileSimdKernels({ shared })).toString('base64url'))
      return `export const sharedKernels = ${await text(true)}\nexport const unsharedKernels = ${await text(false)}`
    },
  }
}

/**
 * The web app. No inline script and no data: URL leaves this build, so that the server can send a strict content security policy;
 * hence no module-preload polyfill and no inlined assets.
 */
export default defineConfig({
  plugins: [react()],
  worker: { format: 'es', plugins: () => [simdKernels()] },
  build: {
    outDir: 'dist/web',
    target: 'es2022',
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    // suite.html: the kernel suite for the terminal, without the app.
    rolldownOptions: { input: ['index.html', 'suite.html'] },
  },
})
