/**
 * SkippingEngine: leaves out the layer in the middle of each span, where it is missed least. The two halves are slots of their own, so it loads with
 * twice the KV cache, whatever it has pledged.
 */

import { isLastSpan, type ModelConfig, type Span } from '../model/index.ts'
import { assert, type Result, required } from '../shared/index.ts'
import type { Engine, ForwardResult, LoadRequest, Segment, SegmentOutput, Slot } from '../worker/engine.ts'
import { PassingEngine } from './passingEngine.ts'
import { inputRowCount } from './sentRows.ts'

export class SkippingEngine extends PassingEngine {
  readonly #isTurn: () => boolean
  /** By the slot before the gap, which stands for both: the slot behind it. */
  readonly #behind = new Map<Slot, Slot>()
  #config: ModelConfig | null = null

  /** `isTurn` is asked as each session opens. */
  constructor(inner: Engine, isTurn: () => boolean) {
    super(inner)
    this.#isTurn = isTurn
  }

  override load(request: LoadRequest): Promise<void> {
    this.#config = request.manifest.config
    return super.load({ ...request, kvPositions: 2 * request.kvPositions, memoryBytesMax: Number.MAX_SAFE_INTEGER })
  }

  override open({ span, maxPositions }: { readonly span: Span; readonly maxPositions: number }): Result<Slot, 'no-room'> {
    if (!this.#isTurn()) return super.open({ span, maxPositions })
    const [before, behind] = withoutMiddle(required(this.#config ?? undefined, 'a loaded model'), span)
    const slot = super.open({ span: before, maxPositions })
    if (!slot.ok || behind === null) return slot
    const second = super.open({ span: behind, maxPositions })
    if (!second.ok) {
      super.close(slot.value)
      return second
    }
    this.#behind.set(slot.value, second.value)
    return slot
  }

  override truncate(slot: Slot, length: number): void {
    super.truncate(slot, length)
    const behind = this.#behind.get(slot)
    if (behind !== undefined) super.truncate(behind, length)
  }

  override close(slot: Slot): void {
    super.close(slot)
    const behind = this.#behind.get(slot)
    if (behind !== undefined) super.close(behind)
    this.#behind.delete(slot)
  }

  override async forward(segments: readonly Segment[]): Promise<ForwardResult> {
    const first = await super.forward(
      segments.map((segment) => (this.#behind.has(segment.slot) ? { ...segment, output: { kind: 'rows', encoding: 'f32' } } : segment)),
    )
    const rest = segments.flatMap((segment, index) => this.#rest(segment, required(first.outputs[index], 'an output')))
    if (rest.length === 0) return first
    const second = await super.forward(rest).catch((error: unknown) => {
      for (const { slot, firstPosition } of segments) this.inner.truncate(slot, firstPosition)
      throw error
    })
    const outputs = second.outputs.values()
    return {
      ...first,
      outputs: first.outputs.map((output, index) =>
        this.#behind.has(required(segments[index], 'a segment').slot) ? required(outputs.next().value, 'an output') : output,
      ),
      computeMs: first.computeMs + second.computeMs,
    }
  }

  /** What the layers behind the gap have to do. */
  #rest(segment: Segment, output: SegmentOutput): Segment[] {
    const slot = this.#behind.get(segment.slot)
    if (slot === undefined) return []
    assert(output.kind === 'rows', `rows before the gap, not ${output.kind}`)
    return [{ ...segment, slot, input: { kind: 'rows', encoding: 'f32', rowCount: inputRowCount(segment), bytes: output.bytes } }]
  }
}

/** The embedding goes with the first layer and the head with the last: neither of these can be left out where it is the model's. */
function withoutMiddle(config: ModelConfig, { firstLayer, endLayer }: Span): [Span, Span | null] {
  const isLast = isLastSpan(config, { firstLayer, endLayer })
  const middle = firstLayer + Math.floor((endLayer - firstLayer) / 2)
  assert(middle > firstLayer && (!isLast || middle < endLayer - 1), `layers ${firstLayer} … ${endLayer - 1} have none that can be left out`)
  const behind = { firstLayer: middle + 1, endLayer }
  return [{ firstLayer, endLayer: middle }, behind.firstLayer < endLayer ? behind : null]
}
