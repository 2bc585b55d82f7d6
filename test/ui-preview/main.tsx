/** The UI with a scripted runtime: `/contribute?scenario=serving`. For screenshots (scripts/screenshots.mjs), never served to users. */

import { createRoot } from 'react-dom/client'
import { App } from '../../src/ui/app.tsx'
import { benchHost, savedRun } from './benchScenarios.ts'
import { startScenario } from './scenarios.ts'

const name = new URLSearchParams(window.location.search).get('scenario') ?? 'two-tabs'
Object.assign(globalThis, { savedRun })
const root = document.getElementById('root')
if (root === null) throw new Error('#root is missing')
createRoot(root).render(<App runtime={startScenario(name)} bench={benchHost(name)} />)
