/**
 * VirtualTime: the one clock of a simulation. Whatever happens is an event at a time, run in that order, those of one time in the
 * order in which they were set. Events belong to an actor: what a dead one had planned never happens, what a frozen one had planned
 * happens when it thaws.
 */

import type { CancelTimer, Clock } from '../shared/index.ts'

/** Who events happen to. */
export interface Actor {
  readonly isDead: boolean
  /** Nothing happens to it before; 0 when it is awake. Milliseconds. */
  readonly frozenUntilMs: number
}

interface TimedEvent {
  atMs: number
  /** Of events of one time, who goes first. */
  order: number
  readonly actor: Actor | null
  /** Null: cancelled. */
  run: (() => void) | null
}

export class VirtualTime {
  nowMs: number
  /** That have happened. */
  events = 0
  /** A binary heap, the next event first. */
  readonly #heap: TimedEvent[] = []
  #order = 0

  constructor(startMs: number) {
    this.nowMs = startMs
  }

  /** `order`: of an earlier `takeOrder`, where the event goes before others of its time that were set since. */
  at(atMs: number, actor: Actor | null, run: () => void, order = this.#order++): CancelTimer {
    const event: TimedEvent = { atMs: Math.max(atMs, this.nowMs), order, actor, run }
    this.#push(event)
    return () => {
      event.run = null
    }
  }

  takeOrder(): number {
    return this.#order++
  }

  after(delayMs: number, actor: Actor | null, run: () => void): CancelTimer {
    return this.at(this.nowMs + delayMs, actor, run)
  }

  /** Time as an actor sees it. */
  clockOf(actor: Actor): Clock {
    return { nowMs: () => this.nowMs, after: (delayMs, callback) => this.after(Math.max(0, delayMs), actor, callback) }
  }

  /** The next event happens; false when there is none up to `endMs`. Events that were cancelled or put off count as none. */
  step(endMs: number): boolean {
    for (;;) {
      const event = this.#heap[0]
      if (event === undefined || event.atMs > endMs) return false
      this.#pop()
      const { actor, run } = event
      if (run === null || actor?.isDead === true) continue
      if (actor !== null && actor.frozenUntilMs > event.atMs) {
        event.atMs = actor.frozenUntilMs
        event.order = this.#order++
        this.#push(event)
        continue
      }
      this.nowMs = event.atMs
      this.events++
      event.run = null
      run()
      return true
    }
  }

  #push(event: TimedEvent): void {
    const heap = this.#heap
    let index = heap.length
    while (index > 0) {
      const parentIndex = (index - 1) >> 1
      const parent = heap[parentIndex]
      if (parent === undefined || !isBefore(event, parent)) break
      heap[index] = parent
      index = parentIndex
    }
    heap[index] = event
  }

  #pop(): void {
    const heap = this.#heap
    const last = heap.pop()
    if (last === undefined || heap.length === 0) return
    let index = 0
    for (;;) {
      let childIndex = 2 * index + 1
      let child = heap[childIndex]
      if (child === undefined) break
      const right = heap[childIndex + 1]
      if (right !== undefined && isBefore(right, child)) {
        child = right
        childIndex++
      }
      if (!isBefore(child, last)) break
      heap[index] = child
      index = childIndex
    }
    heap[index] = last
  }
}

function isBefore(a: TimedEvent, b: TimedEvent): boolean {
  return a.atMs < b.atMs || (a.atMs === b.atMs && a.order < b.order)
}
