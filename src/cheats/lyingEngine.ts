/**
 * LyingEngine: computes everything and sends something else. What such a cheat would save is not the point here: what it sends is. Its KV cache
 * stays honest, so no row is further away than a cheat's that really saves.
 */

import type { Span } from '../model/index.ts'
import { type Result, required } from '../shared/index.ts'
import type { Engine, ForwardResult, LoadRequest, Segment, SegmentOutput, Slot } from '../worker/engine.ts'
import type { Lie } from './lies.ts'
import { PassingEngine } from './passingEngine.ts'
import { firstSentPosition, putTogether, type SentRow, takeApart } from './sentRows.ts'

/** Rows of an earlier session that are kept: more than an audit looks at. */
const EARLIER_ROWS_MAX = 4_096

interface Session {
  readonly isLying: boolean
  /** What was computed, by position; holes where nothing was asked for. */
  readonly computed: (SentRow | undefined)[]
}

export class LyingEngine extends PassingEngine {
  readonly #lie: Lie
  readonly #isTurn: () => boolean
  readonly #sessions = new Map<Slot, Session>()
  #earlier: readonly SentRow[] = []
  #width = 0

  /** `isTurn` is asked as each session opens. */
  constructor(inner: Engine, lie: Lie, isTurn: () => boolean) {
    super(inner)
    this.#lie = lie
    this.#isTurn = isTurn
  }

  override load(request: LoadRequest): Promise<void> {
    this.#width = request.manifest.config.width
    this.#earlier = []
    return super.load(request)
  }

  override open(request: { readonly span: Span; readonly maxPositions: number }): Result<Slot, 'no-room'> {
    const opened = super.open(request)
    if (opened.ok) this.#sessions.set(opened.value, { isLying: this.#isTurn(), computed: [] })
    return opened
  }

  override truncate(slot: Slot, length: number): void {
    super.truncate(slot, length)
    const { computed } = this.#session(slot)
    computed.length = Math.min(computed.length, length)
  }

  override close(slot: Slot): void {
    super.close(slot)
    const rows = this.#session(slot).computed.flatMap((row) => row ?? [])
    if (rows.length > 0) this.#earlier = rows.slice(0, EARLIER_ROWS_MAX)
    this.#sessions.delete(slot)
  }

  override async forward(segments: readonly Segment[]): Promise<ForwardResult> {
    const result = await super.forward(segments)
    return { ...result, outputs: segments.map((segment, index) => this.#send(segment, required(result.outputs[index], 'an output'))) }
  }

  #send(segment: Segment, output: SegmentOutput): SegmentOutput {
    // Closed while the pass ran: nobody takes its rows any more.
    const session = this.#sessions.get(segment.slot)
    if (output.kind === 'logits' || session === undefined) return output
    const rows = takeApart(segment, output, this.#width)
    const first = firstSentPosition(segment)
    const sent = rows.map((honest, row) => {
      const position = first + row
      session.computed[position] = honest
      if (!session.isLying) return honest
      const before = session.computed[position - 1] ?? null
      const index = position - segment.firstPosition
      return this.#lie({ segment, index, position, honest, before, earlier: this.#earlier, width: this.#width })
    })
    return rows.length === 0 ? output : putTogether(sent)
  }

  #session(slot: Slot): Session {
    return required(this.#sessions.get(slot), `slot ${slot}`)
  }
}
