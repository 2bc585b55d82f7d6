/**
 * Which rows go into the next pass: decode rows of every session first, since somebody reads along; then parts of prompts, in
 * turn. How rows are grouped never changes their numbers, so the sizes may follow the speed of this machine.
 */

import type { StageSession, Work } from './stageSession.ts'

/** Decode rows of a pass, all sessions together: also the bound for a driver that calls everything decode. */
const DECODE_ROWS_MAX = 64

/** Prompt rows of a pass: the first guess, and what it may become. Powers of two, so that matrix tiles stay full. */
const PROMPT_ROWS_START = 32
const PROMPT_ROWS_MIN = 8
const PROMPT_ROWS_MAX = 128

/** A pass should take about this long: decode rows that come meanwhile wait for its end. */
const PASS_SLOW_MS = 1_000
const PASS_FAST_MS = 250

export class PassPlanner {
  #promptRows = PROMPT_ROWS_START

  /** Takes rows out of sessions, in the order given; none when nothing can be computed. */
  plan(sessions: Iterable<StageSession>): Work[] {
    const works: Work[] = []
    const prompts: StageSession[] = []
    let decodeLeft = DECODE_ROWS_MAX
    for (const session of sessions) {
      if (session.nextKind === 'prompt') prompts.push(session)
      if (session.nextKind !== 'decode' || decodeLeft === 0) continue
      const work = session.take(decodeLeft)
      decodeLeft -= work.rows.rowCount
      works.push(work)
    }
    let promptLeft = this.#promptRows
    for (const session of prompts) {
      if (promptLeft === 0) break
      const work = session.take(promptLeft)
      promptLeft -= work.rows.rowCount
      works.push(work)
    }
    return works
  }

  /** Learns from a pass how many prompt rows the next should have. */
  observe(works: readonly Work[], computeMs: number): void {
    const rows = works.reduce((sum, { rows }) => sum + (rows.kind === 'prompt' ? rows.rowCount : 0), 0)
    if (rows > 0 && computeMs > PASS_SLOW_MS) this.#promptRows = Math.max(PROMPT_ROWS_MIN, this.#promptRows / 2)
    else if (rows >= this.#promptRows && computeMs < PASS_FAST_MS) this.#promptRows = Math.min(PROMPT_ROWS_MAX, this.#promptRows * 2)
  }
}
