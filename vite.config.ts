import react from '@vitejs/plugin-react'
import { defineConfig } from 'vite'

/**
 * The web app. No inline script and no data: URL leaves this build, so that the server can send a strict content security policy;
 * hence no module-preload polyfill and no inlined assets.
 */
export default defineConfig({
  plugins: [react()],
  worker: { format: 'es' },
  build: {
    outDir: 'dist/web',
    target: 'es2022',
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    // suite.html: the kernel suite for the terminal, without the app.
    rolldownOptions: { input: ['index.html', 'suite.html'] },
  },
})
