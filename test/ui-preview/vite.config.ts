import { fileURLToPath } from 'node:url'
import react from '@vitejs/plugin-react'
import { defineConfig, type Plugin } from 'vite'
import { openApiDocument } from '../../src/coordinator/gateway/reference/openApi.ts'

/** What a coordinator tells of its API, beside the pages. */
function apiDescription(): Plugin {
  const source = JSON.stringify(openApiDocument({ hasStorage: true, needsKey: true }))
  return {
    name: 'api-description',
    generateBundle() {
      this.emitFile({ type: 'asset', fileName: 'openapi.json', source })
    },
  }
}

/** Builds the preview alone, beside the app and never into it. */
// biome-ignore lint/style/noDefaultExport: Vite asks for it
export default defineConfig({
  root: fileURLToPath(new URL('.', import.meta.url)),
  publicDir: fileURLToPath(new URL('../../public', import.meta.url)),
  plugins: [react(), apiDescription()],
  build: { outDir: fileURLToPath(new URL('../../dist/ui-preview', import.meta.url)), emptyOutDir: true, target: 'es2022' },
})
