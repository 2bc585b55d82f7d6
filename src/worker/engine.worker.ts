/** The Web Worker's composition root: real GPU, clock, cache and network for one EngineHost or DraftHost, offered to the page through comlink. */

import { expose } from 'comlink'
import { sha256Of, signatureVerifier } from '../network/index.ts'
import { DraftHost, EngineHost } from '../peer/index.ts'
import { clock, openEngine } from './browserEngine.ts'
import { openWeightCache } from './index.ts'

const ports = {
  openEngine,
  clock,
  cache: openWeightCache(navigator.storage),
  fetch: (url: string, init?: RequestInit) => fetch(url, init),
  sha256: sha256Of(crypto.subtle),
}

// Its name comes from the page too.
if (self.name.startsWith('tabswarm-draft')) expose(new DraftHost(ports))
else expose(new EngineHost({ ...ports, verify: signatureVerifier(crypto.subtle) }))
