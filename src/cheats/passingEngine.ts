/** PassingEngine: an engine that is another one. What cheats have in common; each changes a method or two. */

import type { Span } from '../model/index.ts'
import type { Result } from '../shared/index.ts'
import type { Engine, EngineInfo, EngineUsage, ForwardResult, LoadRequest, Segment, Slot } from '../worker/engine.ts'

export class PassingEngine implements Engine {
  protected readonly inner: Engine

  constructor(inner: Engine) {
    this.inner = inner
  }

  /** The class that it claims is the one of the engine inside. */
  get info(): EngineInfo {
    return this.inner.info
  }

  get lost(): Engine['lost'] {
    return this.inner.lost
  }

  load(request: LoadRequest): Promise<void> {
    return this.inner.load(request)
  }

  unload(): void {
    this.inner.unload()
  }

  open(request: { readonly span: Span; readonly maxPositions: number }): Result<Slot, 'no-room'> {
    return this.inner.open(request)
  }

  truncate(slot: Slot, length: number): void {
    this.inner.truncate(slot, length)
  }

  close(slot: Slot): void {
    this.inner.close(slot)
  }

  length(slot: Slot): number {
    return this.inner.length(slot)
  }

  forward(segments: readonly Segment[]): Promise<ForwardResult> {
    return this.inner.forward(segments)
  }

  usage(): EngineUsage {
    return this.inner.usage()
  }

  dispose(): void {
    this.inner.dispose()
  }
}
