/** Route: what an answer's page and its record say of the stages that computed it. */

import type { ChainStage, LinkKind } from '../protocol/index.ts'
import type { StageLap } from '../session/index.ts'
import type { RouteStage } from './types.ts'

/** What the stages say of themselves during one session. */
export class Route {
  #stages: { readonly stage: ChainStage; readonly decodeMs: number[]; link: RouteStage['link']; positions: number }[] = []
  #waiting: { readonly positions: number; readonly resolve: () => void } | null = null

  /** Another chain keeps what was said of the stages that stay. */
  begin(chain: readonly ChainStage[]): void {
    const before = this.#stages
    this.#stages = chain.map((stage) => {
      const same = before.find(({ stage: { peerId, firstLayer } }) => peerId === stage.peerId && firstLayer === stage.firstLayer)
      return { decodeMs: [], link: { kind: 'webrtc', bytesSent: 0 }, positions: 0, ...same, stage }
    })
  }

  lap(lap: StageLap): void {
    const stage = this.#stages[lap.stageIndex]
    if (stage === undefined) return
    stage.link = { kind: lap.linkKind, bytesSent: lap.bytesSent }
    stage.positions = lap.firstPosition + lap.rowCount
    if (lap.kind === 'decode') stage.decodeMs.push(lap.computeMs)
    this.#check()
  }

  /** Calls back once every stage has told of its pass over the position before `positions`. */
  whenHeardOf(positions: number, resolve: () => void): void {
    this.#waiting = { positions, resolve }
    this.#check()
  }

  #check(): void {
    const waiting = this.#waiting
    if (waiting === null || this.#stages.some((stage) => stage.positions < waiting.positions)) return
    this.#waiting = null
    waiting.resolve()
  }

  stages(): readonly RouteStage[] {
    return this.#stages.map(({ stage, decodeMs, link }) => ({ ...stage, computeMsPerLap: median(decodeMs), link }))
  }
}

function median(values: readonly number[]): number | null {
  const sorted = [...values].sort((a, b) => a - b)
  const upper = sorted[sorted.length >> 1]
  const lower = sorted[(sorted.length - 1) >> 1]
  return upper === undefined || lower === undefined ? null : (upper + lower) / 2
}

/** Kinds of links from best to worst: a chain is as good as its worst link. */
const WORST_LAST: readonly LinkKind[] = ['memory', 'webrtc', 'turn', 'relay']

export function worstLink(kinds: readonly LinkKind[]): LinkKind {
  return kinds.reduce<LinkKind>((worst, kind) => (WORST_LAST.indexOf(kind) > WORST_LAST.indexOf(worst) ? kind : worst), 'memory')
}
