/**
 * The engine's worker of `tabswarm audit`: a volunteer that commits the cheat that stands in the worker's name, `cheat=KIND,AFTER`; `vouch` is the
 * accomplice of `collude`. It stands in for a dishonest volunteer's changed code: no page that is served to anybody else has it, see node/webApp.ts.
 */

import { expose } from 'comlink'
import {
  boasted,
  CHEATS,
  type CheatOptions,
  cheatingEngine,
  confidingFetch,
  isSpeedLie,
  ReplayedReceipts,
  vouchingFetch,
} from '../cheats/index.ts'
import { sha256Of, signatureVerifier } from '../network/index.ts'
import { DraftHost, EngineHost } from '../peer/index.ts'
import { clock, openEngine } from './browserEngine.ts'
import { type EngineChoice, openWeightCache } from './index.ts'

const asked = /cheat=([a-z-]+),(\d+)/.exec(self.name)
const cheat = ([...CHEATS, 'vouch'] as const).find((known) => known === asked?.[1]) ?? null
const afterSessions = Number(asked?.[2] ?? 0)

class CheatingHost extends EngineHost {
  #audits = 0

  /** What its engine cannot know: whether it is asked for a session or for an audit of somebody else's. */
  get isAuditing(): boolean {
    return this.#audits > 0
  }

  override async audit(...order: Parameters<EngineHost['audit']>): Promise<void> {
    const [errand] = order
    const isAudit = errand.type === 'audit'
    if (isAudit) this.#audits++
    await super.audit(...order)
    if (isAudit) this.#audits--
  }

  override host(...[identity, events]: Parameters<EngineHost['host']>): Promise<void> {
    if (cheat !== 'replay-receipt') return super.host(identity, events)
    const receipts = new ReplayedReceipts(afterSessions, { sign: (message) => events.sign(message) })
    return super.host(identity, {
      dial: (peerId) => events.dial(peerId),
      sign: (message) => events.sign(message),
      // Awaited: receipts rise in sequence.
      onReceipt: async (signed) => events.onReceipt(await receipts.replace(signed)),
      onHead: (head) => events.onHead(head),
      onProgress: (progress) => events.onProgress(progress),
      onWork: (work) => events.onWork(work),
      onDeviceLost: (message) => events.onDeviceLost(message),
      onRecovered: (outcome) => events.onRecovered(outcome),
    })
  }
}

async function openDishonest(choice: EngineChoice, threads?: number): ReturnType<typeof openEngine> {
  const { engine, detected } = await openEngine(choice, threads)
  if (cheat === null || cheat === 'vouch' || cheat === 'replay-receipt') return { engine, detected }
  const openAnother = async () => (await openEngine(choice, threads)).engine
  const options: CheatOptions = { afterSessions, isAudit: () => host.isAuditing, random: Math.random, openAnother }
  return {
    engine: await cheatingEngine(cheat === 'collude' ? 'noise' : cheat, engine, options),
    detected: isSpeedLie(cheat) && afterSessions === 0 ? boasted(cheat, detected) : detected,
  }
}

const plainFetch = (url: string, init?: RequestInit) => fetch(url, init)
const ports = {
  openEngine: openDishonest,
  clock,
  cache: openWeightCache(navigator.storage),
  fetch: cheat === 'collude' ? confidingFetch(plainFetch) : cheat === 'vouch' ? vouchingFetch(plainFetch) : plainFetch,
  sha256: sha256Of(crypto.subtle),
}
const host = new CheatingHost({ ...ports, verify: signatureVerifier(crypto.subtle) })

expose(self.name.startsWith('tabswarm-draft') ? new DraftHost(ports) : host)
