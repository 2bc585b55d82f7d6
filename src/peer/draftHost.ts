/** DraftHost: what a worker that drafts does, without knowing that it is a worker. One engine, one small model, sessions of it. */

import { type DraftSource, openDraftSession } from '../session/index.ts'
import { required, TabswarmError } from '../shared/index.ts'
import type { Engine } from '../worker/index.ts'
import type { DraftLoadRequest, DraftOpenRequest, DraftWorkerApi, DraftWorkerEvents } from './draftWorkerApi.ts'
import type { EngineHostPorts } from './engineHost.ts'
import { outcome } from './outcome.ts'
import { loadSpan } from './tensorCache.ts'

export type DraftHostPorts = Omit<EngineHostPorts, 'verify'>

export class DraftHost implements DraftWorkerApi {
  readonly #ports: DraftHostPorts
  #loaded: { readonly engine: Engine; readonly config: DraftLoadRequest['manifest']['config'] } | null = null
  readonly #sessions = new Map<number, DraftSource>()
  #nextSession = 0

  constructor(ports: DraftHostPorts) {
    this.#ports = ports
  }

  load(request: DraftLoadRequest, events: DraftWorkerEvents) {
    return outcome(async () => {
      const { engine, detected } = await this.#ports.openEngine(request.engine)
      const { manifest, modelUrl, kvPositions } = request
      const { config } = manifest
      const span = { firstLayer: 0, endLayer: config.layerCount }
      const wanted = { manifest, modelUrl, span, kvPositions, memoryBytesMax: Number.MAX_SAFE_INTEGER }
      await loadSpan(this.#ports, engine, wanted, { onProgress: events.onProgress, signal: new AbortController().signal })
      this.#loaded = { engine, config }
      void engine.lost.then(({ message }) => events.onLost(message))
      const { weightBytes, kvBytes, scratchBytes } = engine.usage()
      return { engine: detected.engine, adapter: detected.adapter, memoryBytes: weightBytes + kvBytes + scratchBytes }
    })
  }

  open({ maxPositions, sampling, topK }: DraftOpenRequest) {
    return outcome(async () => {
      const { engine, config } = required(this.#loaded, 'the loaded draft model')
      const session = this.#nextSession++
      this.#sessions.set(session, openDraftSession({ engine, config, maxPositions, sampling, topK, clock: this.#ports.clock }))
      return session
    })
  }

  draft(session: number, ids: readonly number[], count: number) {
    return outcome(async () => {
      const source = this.#sessions.get(session)
      if (source === undefined) throw new TabswarmError('closed', `draft session ${session} is closed`)
      return source.draft(ids, count)
    })
  }

  async close(session: number): Promise<void> {
    this.#sessions.get(session)?.close()
    this.#sessions.delete(session)
  }
}
