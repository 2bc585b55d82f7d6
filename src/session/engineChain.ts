/**
 * openEngineChain: a Chain over engines in this process, one a span, without network, grants or windows: for the command
 * line and for tests. Rows go from span to span in the encoding asked for, as on the wire.
 */

import type { RowEncoding, RowKind } from '../protocol/index.ts'
import { assert, deferred, type Result, TabswarmError, toErrorBody } from '../shared/index.ts'
import type { Candidates, Chain, ChainEvents, Lap } from './chain.ts'
import { SessionError } from './errors.ts'

/** The part of worker's `Engine` that a chain needs; any Engine fits. */
export interface ChainEngine {
  open(request: {
    readonly span: { readonly firstLayer: number; readonly endLayer: number }
    readonly maxPositions: number
  }): Result<number, 'no-room'>
  truncate(slot: number, length: number): void
  close(slot: number): void
  forward(segments: readonly ChainSegment[]): Promise<{ readonly outputs: readonly ChainOutput[]; readonly computeMs: number }>
}

export interface ChainSegment {
  readonly slot: number
  readonly kind: RowKind
  readonly firstPosition: number
  readonly input:
    | { readonly kind: 'tokens'; readonly ids: Uint32Array }
    | { readonly kind: 'rows'; readonly encoding: RowEncoding; readonly rowCount: number; readonly bytes: Uint8Array }
  readonly output:
    | { readonly kind: 'rows'; readonly encoding: RowEncoding }
    | { readonly kind: 'candidates'; readonly resultCount: number; readonly topK: number; readonly named?: Uint32Array }
    | { readonly kind: 'logits'; readonly resultCount: number }
}

export type ChainOutput =
  | { readonly kind: 'rows'; readonly bytes: Uint8Array }
  | { readonly kind: 'candidates'; readonly positions: readonly Candidates[] }
  | { readonly kind: 'logits'; readonly values: Float32Array }

export interface EngineChainOptions {
  /** In order from the embedding to the head; several spans may share one engine that has loaded them all. */
  readonly stages: readonly {
    readonly engine: ChainEngine
    readonly span: { readonly firstLayer: number; readonly endLayer: number }
  }[]
  readonly maxPositions: number
  readonly topK: number
  readonly rowEncoding: RowEncoding
}

/** Throws SessionError `no-room` when an engine cannot hold `maxPositions`; nothing stays reserved then. */
export function openEngineChain(options: EngineChainOptions): Chain {
  return new EngineChain(options)
}

class EngineChain implements Chain {
  readonly maxPositions: number
  readonly #options: EngineChainOptions
  readonly #slots: number[] = []
  #events: ChainEvents | null = null
  /** Of each position that was submitted. */
  readonly #rows: Pick<Lap, 'kind' | 'ids'>[] = []
  #epoch = 0
  #closed = false
  #working: Promise<void> = Promise.resolve()

  constructor(options: EngineChainOptions) {
    this.#options = options
    this.maxPositions = options.maxPositions
    for (const [index, { engine, span }] of options.stages.entries()) {
      const slot = engine.open({ span, maxPositions: options.maxPositions })
      if (!slot.ok) {
        this.#closeSlots()
        throw new SessionError('no-room', `span ${index} has no room for ${options.maxPositions} positions`, { stageIndex: index })
      }
      this.#slots.push(slot.value)
    }
  }

  listen(events: ChainEvents): void {
    this.#events = events
  }

  submit(lap: Lap): Promise<void> {
    if (this.#closed) return Promise.reject(new SessionError('cancelled', 'the session was closed'))
    const { length } = this.#rows
    assert(lap.firstPosition === length, `lap at position ${lap.firstPosition}; ${length} were submitted`)
    for (const id of lap.ids) this.#rows.push({ kind: lap.kind, ids: Uint32Array.of(id) })
    const epoch = this.#epoch
    this.#working = this.#working.then(() => this.#run(lap, epoch))
    return Promise.resolve()
  }

  async logits({ position }: Candidates): Promise<Float32Array> {
    if (this.#closed) throw new SessionError('cancelled', 'the session was closed')
    const row = this.#rows[position]
    assert(row !== undefined && position === this.#rows.length - 1, `logits of position ${position}; ${this.#rows.length} were submitted`)
    const again = deferred<Float32Array>()
    this.#working = this.#working.then(async () => {
      try {
        again.resolve(await this.#again(position, row))
      } catch (error) {
        again.reject(toSessionError(error))
      }
    })
    return again.promise
  }

  truncate(length: number): void {
    this.#epoch++
    this.#rows.length = length
    this.#working = this.#working.then(() => {
      if (this.#closed) return
      for (const [index, { engine }] of this.#options.stages.entries()) engine.truncate(this.#slot(index), length)
    })
  }

  close(): void {
    if (this.#closed) return
    this.#closed = true
    // A pass under way still writes to the slots.
    this.#working = this.#working.then(() => this.#closeSlots())
  }

  async #run(lap: Lap, epoch: number): Promise<void> {
    try {
      let input: ChainSegment['input'] = { kind: 'tokens', ids: lap.ids }
      for (const index of this.#options.stages.keys()) {
        // Laps of an older epoch are finished all the same: every slot must have the positions that truncation counts.
        if (this.#closed) return
        input = (await this.#pass(index, lap, input, epoch)) ?? input
      }
    } catch (error) {
      if (this.#closed) return
      this.close()
      this.#events?.onFailed(toSessionError(error))
    }
  }

  /** The last row once more through all spans. */
  async #again(firstPosition: number, { kind, ids }: Pick<Lap, 'kind' | 'ids'>): Promise<Float32Array> {
    const { stages, rowEncoding } = this.#options
    let input: ChainSegment['input'] = { kind: 'tokens', ids }
    for (const [index, { engine }] of stages.entries()) {
      const slot = this.#slot(index)
      engine.truncate(slot, firstPosition)
      const isLast = index === stages.length - 1
      const output: ChainSegment['output'] = isLast ? { kind: 'logits', resultCount: 1 } : { kind: 'rows', encoding: rowEncoding }
      const { outputs } = await engine.forward([{ slot, kind, firstPosition, input, output }])
      const result: ChainOutput | undefined = outputs[0]
      if (result?.kind === 'logits') return result.values
      assert(result?.kind === 'rows', `a pass gave ${result?.kind}`)
      input = { kind: 'rows', encoding: rowEncoding, rowCount: 1, bytes: result.bytes }
    }
    throw new SessionError('internal', 'a chain without stages')
  }

  /** One span of one lap; returns what the next span gets. */
  async #pass(index: number, lap: Lap, input: ChainSegment['input'], epoch: number): Promise<ChainSegment['input'] | null> {
    const { stages, topK, rowEncoding } = this.#options
    const engine = stages[index]?.engine
    assert(engine !== undefined, `no engine for span ${index}`)
    const { firstPosition, kind, resultCount, named } = lap
    const rowCount = lap.ids.length
    const isLast = index === stages.length - 1
    const output: ChainSegment['output'] = isLast
      ? { kind: 'candidates', resultCount, topK, ...(named !== undefined && { named }) }
      : { kind: 'rows', encoding: rowEncoding }
    const { outputs, computeMs } = await engine.forward([{ slot: this.#slot(index), kind, firstPosition, input, output }])
    const result = outputs[0]
    const bytesSent = result?.kind === 'rows' ? result.bytes.byteLength : 0
    if (!this.#closed) this.#events?.onLap({ stageIndex: index, firstPosition, rowCount, kind, computeMs, bytesSent, linkKind: 'memory' })
    if (result?.kind === 'rows') return { kind: 'rows', encoding: rowEncoding, rowCount, bytes: result.bytes }
    if (result?.kind === 'candidates' && !this.#closed && epoch === this.#epoch) {
      this.#events?.onResults({ firstPosition, rowCount, candidates: result.positions })
    }
    return null
  }

  #slot(index: number): number {
    const slot = this.#slots[index]
    assert(slot !== undefined, `no slot for span ${index}`)
    return slot
  }

  #closeSlots(): void {
    for (const [index, slot] of this.#slots.entries()) this.#options.stages[index]?.engine.close(slot)
    this.#slots.length = 0
  }
}

function toSessionError(error: unknown): SessionError {
  const { reason, message } = toErrorBody(error)
  const known = reason === 'not-finite' || reason === 'device-lost' ? reason : 'internal'
  return new SessionError(known, error instanceof TabswarmError ? message : `the engine failed: ${message}`, { cause: error })
}
