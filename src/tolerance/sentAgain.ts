/**
 * SentAgainEngine: sends what an engine has sent before for the same sessions and computes nothing. For cheats that only change what is sent: without
 * it a software adapter would compute every session once more for each of them.
 */

import { PassingEngine } from '../cheats/index.ts'
import type { Span } from '../model/index.ts'
import { rowBytes } from '../protocol/index.ts'
import { ok, type Result, required } from '../shared/index.ts'
import type { Engine, ForwardResult, Segment, SegmentOutput, Slot } from '../worker/index.ts'
import type { Outputs, SpanOutput } from './replay.ts'

interface SentBefore {
  readonly spans: readonly Span[]
  readonly width: number
  readonly outputs: Outputs
  /** Sessions in the order in which they will be opened, for each span anew. */
  readonly order: readonly number[]
}

export class SentAgainEngine extends PassingEngine {
  readonly #before: SentBefore
  readonly #sent = new Map<Slot, SpanOutput>()
  readonly #lengths = new Map<Slot, number>()
  #opened = 0

  /** `engine` says what it is called, and no more. */
  constructor(engine: Engine, before: SentBefore) {
    super(engine)
    this.#before = before
  }

  override async load(): Promise<void> {}

  override open({ span }: { readonly span: Span }): Result<Slot, 'no-room'> {
    const { spans, outputs, order } = this.#before
    const slot = this.#opened++
    const session = required(order[slot % order.length], 'a session')
    const at = spans.findIndex(({ firstLayer }) => firstLayer === span.firstLayer)
    this.#sent.set(slot, required(outputs.get(session)?.[at], `what layers from ${span.firstLayer} on sent in session ${session}`))
    this.#lengths.set(slot, 0)
    return ok(slot)
  }

  override truncate(slot: Slot, length: number): void {
    this.#lengths.set(slot, length)
  }

  override close(slot: Slot): void {
    this.#sent.delete(slot)
    this.#lengths.delete(slot)
  }

  override length(slot: Slot): number {
    return required(this.#lengths.get(slot), `slot ${slot}`)
  }

  override async forward(segments: readonly Segment[]): Promise<ForwardResult> {
    return { outputs: segments.map((segment) => this.#send(segment)), computeMs: 0 }
  }

  #send({ slot, firstPosition, input, output }: Segment): SegmentOutput {
    const sent = required(this.#sent.get(slot), `slot ${slot}`)
    const end = firstPosition + (input.kind === 'tokens' ? input.ids.length : input.rowCount)
    this.#lengths.set(slot, end)
    if (sent.kind === 'candidates') {
      return { kind: 'candidates', positions: sent.positions.filter(({ position }) => position >= firstPosition && position < end) }
    }
    const stride = rowBytes(output.kind === 'rows' ? output.encoding : 'f32', this.#before.width)
    return { kind: 'rows', bytes: sent.bytes.slice(firstPosition * stride, end * stride) }
  }
}
