import { fileURLToPath } from 'node:url'
import react from '@vitejs/plugin-react'
import { defineConfig } from 'vite'

/** Builds the preview alone, beside the app and never into it. */
// biome-ignore lint/style/noDefaultExport: Vite asks for it
export default defineConfig({
  root: fileURLToPath(new URL('.', import.meta.url)),
  publicDir: fileURLToPath(new URL('../../public', import.meta.url)),
  plugins: [react()],
  build: { outDir: fileURLToPath(new URL('../../dist/ui-preview', import.meta.url)), emptyOutDir: true, target: 'es2022' },
})
