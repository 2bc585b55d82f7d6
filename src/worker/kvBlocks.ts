/**
 * KvBlocks: which blocks of the paged KV cache belong to which slot. Pure bookkeeping, shared by every engine; the bytes
 * themselves are the engine's. A block holds KV_BLOCK_POSITIONS positions of all loaded layers. Blocks are reserved at `open`
 * for the slot's whole life, so that an opened slot never runs out; truncation only moves a number.
 */

import type { Span } from '../model/index.ts'
import { assert, err, ok, type Result } from '../shared/index.ts'
import type { EngineUsage, Slot } from './engine.ts'

/** Positions of one block: 32 keeps block tables short and wastes at most 31 positions a slot. */
export const KV_BLOCK_POSITIONS = 32

export interface KvSlot {
  readonly span: Span
  /** What was asked for; the blocks may hold a few more. */
  readonly maxPositions: number
  /** Number of positions in the cache. */
  readonly length: number
  /** Position p lies in `blocks[p / KV_BLOCK_POSITIONS]`, at p % KV_BLOCK_POSITIONS. */
  readonly blocks: Uint32Array
}

/** Blocks that hold `positions` positions. */
export function kvBlockCount(positions: number): number {
  return Math.ceil(positions / KV_BLOCK_POSITIONS)
}

/** What an engine tells of its blocks; of none before a span is loaded. */
export function blockUsage(blocks: KvBlocks | undefined): Pick<EngineUsage, 'kvBlocksTotal' | 'kvBlocksFree' | 'openSlots'> {
  return { kvBlocksTotal: blocks?.blocksTotal ?? 0, kvBlocksFree: blocks?.blocksFree ?? 0, openSlots: blocks?.openSlots ?? 0 }
}

export class KvBlocks {
  readonly blocksTotal: number
  readonly #loaded: Span
  readonly #free: number[]
  readonly #slots = new Map<Slot, { -readonly [Key in keyof KvSlot]: KvSlot[Key] }>()
  #nextSlot = 0

  /** `loaded`: the span whose positions the blocks hold. */
  constructor(blocksTotal: number, loaded: Span) {
    assert(Number.isSafeInteger(blocksTotal) && blocksTotal >= 0, `KV pool of ${blocksTotal} blocks`)
    this.blocksTotal = blocksTotal
    this.#loaded = loaded
    // Taken from the end: the lowest blocks go first, so that equal histories give equal tables.
    this.#free = Array.from({ length: blocksTotal }, (_, index) => blocksTotal - 1 - index)
  }

  get blocksFree(): number {
    return this.#free.length
  }

  get openSlots(): number {
    return this.#slots.size
  }

  /** Reserves every block of `maxPositions` positions of a part of the loaded span at once. Numbers of closed slots are never given again. */
  open(request: { readonly span: Span; readonly maxPositions: number }): Result<Slot, 'no-room'> {
    const { span, maxPositions } = request
    const { firstLayer, endLayer } = this.#loaded
    assert(
      firstLayer <= span.firstLayer && span.firstLayer < span.endLayer && span.endLayer <= endLayer,
      `layers [${span.firstLayer}, ${span.endLayer}) of the loaded [${firstLayer}, ${endLayer})`,
    )
    assert(Number.isSafeInteger(maxPositions) && maxPositions > 0, `a slot of ${maxPositions} positions`)
    const count = kvBlockCount(maxPositions)
    if (count > this.#free.length) return err('no-room')
    const slot = this.#nextSlot++
    const blocks = Uint32Array.from(this.#free.splice(this.#free.length - count, count).reverse())
    this.#slots.set(slot, { span, maxPositions, length: 0, blocks })
    return ok(slot)
  }

  /** The slot, or undefined when it is not open. */
  find(slot: Slot): KvSlot | undefined {
    return this.#slots.get(slot)
  }

  /** The slot; asserts that it is open. */
  get(slot: Slot): KvSlot {
    return this.#open(slot)
  }

  /** `count` positions were written behind the last one. */
  append(slot: Slot, count: number): void {
    const state = this.#open(slot)
    assert(
      count >= 0 && state.length + count <= state.maxPositions,
      `slot ${slot}: ${state.length} + ${count} of ${state.maxPositions} positions`,
    )
    state.length += count
  }

  /** Forgets positions ≥ `length`. */
  truncate(slot: Slot, length: number): void {
    const state = this.#open(slot)
    assert(
      Number.isSafeInteger(length) && length >= 0 && length <= state.length,
      `slot ${slot}: truncate ${state.length} positions to ${length}`,
    )
    state.length = length
  }

  close(slot: Slot): void {
    const state = this.#open(slot)
    this.#slots.delete(slot)
    for (let index = state.blocks.length - 1; index >= 0; index--) this.#free.push(state.blocks[index] ?? 0)
  }

  #open(slot: Slot): { -readonly [Key in keyof KvSlot]: KvSlot[Key] } {
    const state = this.#slots.get(slot)
    assert(state !== undefined, `slot ${slot} is not open`)
    return state
  }
}
