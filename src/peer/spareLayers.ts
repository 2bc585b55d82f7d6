/**
 * SpareLayers: layers that a tab loads for one audit, on an engine of their own beside whatever it serves, and frees again when the audit is over. One
 * after the other, a few at most: more are refused, and asked of somebody else. Rule V26 of protocol/SPEC.md.
 */

import { SerialQueue, TabswarmError } from '../shared/index.ts'
import type { AuditLayers } from '../stage/index.ts'
import type { Engine } from '../worker/index.ts'
import { loadSpan, type TensorPorts } from './tensorCache.ts'
import type { ServeRequest } from './workerApi.ts'

/** Under way or waiting: each keeps its rows meanwhile, which may be 64 MiB. */
const USES_MAX = 2

export interface SpareLayersPorts {
  /** An engine that nothing else uses. Rejects with a TabswarmError. */
  readonly openEngine: () => Promise<Engine>
  readonly tensors: TensorPorts
}

export class SpareLayers {
  readonly #ports: SpareLayersPorts
  readonly #queue = new SerialQueue()
  #uses = 0
  #stop = new AbortController()

  constructor(ports: SpareLayersPorts) {
    this.#ports = ports
  }

  /** Runs with the layers that `request` names. Rejects with a TabswarmError: `busy`, `gave-way`, as loading fails, or as `run` does. */
  async use<Value>(request: ServeRequest, run: (layers: AuditLayers) => Promise<Value>): Promise<Value> {
    if (this.#uses >= USES_MAX) throw new TabswarmError('busy', `${USES_MAX} audits wait for layers here already`)
    this.#uses++
    const { signal } = this.#stop
    try {
      return await this.#queue.run(() => this.#run(request, signal, run))
    } finally {
      this.#uses--
    }
  }

  /** Their room is needed: loads are stopped. Resolves when the memory is free; who computes with them has to be stopped by the caller. */
  async giveUp(): Promise<void> {
    this.#stop.abort()
    this.#stop = new AbortController()
    await this.#queue.idle()
  }

  async #run<Value>(request: ServeRequest, signal: AbortSignal, run: (layers: AuditLayers) => Promise<Value>): Promise<Value> {
    if (signal.aborted) throw gaveWay()
    const engine = await this.#ports.openEngine()
    try {
      await loadSpan(this.#ports.tensors, engine, request, { onProgress: () => undefined, signal })
      if (signal.aborted) throw gaveWay()
      const { manifest, manifestHash, span } = request
      return await run({ engine, served: { manifestHash, span, config: manifest.config } })
    } finally {
      engine.dispose()
    }
  }
}

function gaveWay(): TabswarmError {
  return new TabswarmError('gave-way', 'the room for the layers is needed here')
}
