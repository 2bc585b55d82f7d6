/**
 * The engine's worker of `tabswarm audit`: a volunteer whose engine commits the cheat that stands in the worker's name, `cheat=KIND,AFTER`. It stands
 * in for a dishonest volunteer's changed code: no page that is served to anybody else has it, see node/webApp.ts.
 */

import { expose } from 'comlink'
import { cheatingEngine, ENGINE_CHEATS } from '../cheats/index.ts'
import { sha256Of, signatureVerifier } from '../network/index.ts'
import { DraftHost, EngineHost } from '../peer/index.ts'
import { clock, openEngine } from './browserEngine.ts'
import { type EngineChoice, openWeightCache } from './index.ts'

const asked = /cheat=([a-z-]+),(\d+)/.exec(self.name)
const cheat = ENGINE_CHEATS.find((known) => known === asked?.[1])

async function openDishonest(choice: EngineChoice, threads?: number): ReturnType<typeof openEngine> {
  const opened = await openEngine(choice, threads)
  if (cheat === undefined) return opened
  const openAnother = async () => (await openEngine(choice, threads)).engine
  const engine = await cheatingEngine(cheat, opened.engine, { afterSessions: Number(asked?.[2] ?? 0), random: Math.random, openAnother })
  return { ...opened, engine }
}

const ports = {
  openEngine: openDishonest,
  clock,
  cache: openWeightCache(navigator.storage),
  fetch: (url: string, init?: RequestInit) => fetch(url, init),
  sha256: sha256Of(crypto.subtle),
}

if (self.name.startsWith('tabswarm-draft')) expose(new DraftHost(ports))
else expose(new EngineHost({ ...ports, verify: signatureVerifier(crypto.subtle) }))
