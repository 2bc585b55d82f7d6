/**
 * openContributor: a tab's peer runtime without a tab. The engine lives in this thread: what it computes on are the threads of WebAssembly or a GPU, and
 * passes in this one give way to messages.
 */

import type { Remote } from 'comlink'
import { BrowserAccount } from '../account/index.ts'
import { sha256Of, signatureVerifier } from '../network/index.ts'
import { nodeClock } from '../node/index.ts'
import { installRtcGlobals } from '../node/rtc/index.ts'
import { createPeerRuntime, EngineHost, type EngineWorkerApi, type HeadVault, type PeerRuntime, type RuntimeHost } from '../peer/index.ts'
import type { LedgerHead } from '../protocol/index.ts'
import { TabswarmError } from '../shared/index.ts'
import { accountFile } from './accountFile.ts'
import { openNodeEngine } from './nodeEngine.ts'
import { weightFolder } from './weightFolder.ts'

export interface ContributorOptions {
  /** Of the coordinator. */
  readonly origin: string
  /** What the machine earns as lies there. */
  readonly accountPath: string
  /** Weights are kept there. */
  readonly weightsPath: string
  readonly fetch: RuntimeHost['fetch']
}

/** Changes this process's globals. Rejects with a TabswarmError `bad-account` where the file of the account cannot be read. */
export async function openContributor({ origin, accountPath, weightsPath, fetch }: ContributorOptions): Promise<PeerRuntime> {
  const { subtle } = crypto
  const randomBytes = (count: number) => crypto.getRandomValues(new Uint8Array(count))
  const account = await BrowserAccount.open(accountFile(accountPath, subtle), { subtle, randomBytes })
  return createPeerRuntime({
    origin,
    openSocket: installRtcGlobals('anywhere'),
    clock: nodeClock,
    random: Math.random,
    randomBytes,
    subtle,
    account: Promise.resolve(account),
    heads: headOfThisRun(),
    fetch,
    storage: undefined,
    startWorker() {
      const host = new EngineHost({
        openEngine: openNodeEngine,
        clock: nodeClock,
        cache: weightFolder(weightsPath),
        fetch,
        sha256: sha256Of(subtle),
        verify: signatureVerifier(subtle),
      })
      return { api: host as unknown as Remote<EngineWorkerApi>, terminate: () => void host.stop() }
    },
    startDraftWorker() {
      throw new TabswarmError('no-page', 'a machine that contributes asks nothing, and so drafts nothing')
    },
    // What else the machine does shows in the passes.
    watchHost: () => () => undefined,
  })
}

function headOfThisRun(): HeadVault {
  let kept: LedgerHead | null = null
  return {
    read: async () => kept,
    write: async (head) => {
      kept = head
    },
    forget: async () => {
      kept = null
    },
  }
}
