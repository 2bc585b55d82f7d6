/**
 * Who is alone against the others: contradictions of links laid to a peer, or left as disputes of a pair. Rule V12 of SPEC.md.
 *
 * Nobody is blamed on one other's word, nor on that of two who belong together. Of a link a → b whose receiver says more than its
 * sender: `a` lies if the one behind b got more than a says to have sent, too; `b` lies if the one before a gave less than b says
 * to have got. Missing rows prove nothing: they may have been on their way when the session ended.
 */

import { rowTotal } from '../../protocol/index.ts'
import type { PeerId } from '../../shared/index.ts'
import type { LinkFinding } from './compareLink.ts'
import type { Segment } from './segment.ts'

/** Whether two peers belong together: by key, account, team, invite or address block. True of a peer and itself. */
export type Linked = (one: PeerId, other: PeerId) => boolean

export interface Located {
  /** Places of the ring. */
  readonly liars: ReadonlySet<number>
  /** Places of both ends of links that contradict, where neither is known to lie. */
  readonly disputes: readonly (readonly [number, number])[]
}

export function locate(segment: Segment, links: readonly LinkFinding[], linked: Linked): Located {
  const { size } = segment
  const before = (place: number) => (place + size - 1) % size
  const after = (place: number) => (place + 1) % size
  const contradicts = (link: number) => links[link]?.contradiction != null
  const areTwo = (one: number, other: number) => !linked(segment.peerAt(one), segment.peerAt(other))
  const isSurrounded = (place: number) => contradicts(before(place)) && contradicts(place)

  const liars = new Set<number>()
  for (let place = 0; place < size; place++) {
    const [one, other] = [before(place), after(place)]
    if (isSurrounded(place) && !isSurrounded(one) && !isSurrounded(other) && areTwo(one, other)) liars.add(place)
    if (links[place]?.contradiction !== 'quantity') continue
    const liar = moreThanSent(segment, place, areTwo)
    if (liar !== null) liars.add(liar)
  }
  const disputes = links.flatMap(({ contradiction }, link) => {
    const pair = [link, after(link)] as const
    return contradiction === null || pair.some((place) => liars.has(place)) ? [] : [pair]
  })
  return { liars, disputes }
}

/** The end of `link` that two others contradict, or null. */
function moreThanSent(segment: Segment, link: number, areTwo: (one: number, other: number) => boolean): number | null {
  const { size } = segment
  const [sender, receiver] = [link, (link + 1) % size]
  // The driver passes nothing on: results end there, tokens begin there.
  if (receiver === 0) return null
  const sentRows = rowTotal(segment.most(sender, 'sent'))
  const behind = (receiver + 1) % size
  if (behind !== 0 && areTwo(receiver, behind)) {
    const passed = rowTotal(segment.most(behind, 'received')) - repeated(segment, receiver)
    if (passed > sentRows) return sender
  }
  if (sender === 0) return null
  const beyond = sender - 1
  const possible = rowTotal(segment.most(beyond, 'sent')) + repeated(segment, sender)
  const isTold = segment.hasFinal(beyond) && areTwo(sender, beyond)
  return isTold && rowTotal(segment.most(receiver, 'received')) > possible ? receiver : null
}

/** Rows that a stage may have sent out of its log, for a neighbor that had to begin anew. */
function repeated(segment: Segment, place: number): number {
  const [received, sent] = [segment.firstPosition(place, 'received'), segment.firstPosition((place + 1) % segment.size, 'received')]
  return Math.max(0, (received ?? 0) - (sent ?? 0))
}
