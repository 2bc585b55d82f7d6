/**
 * Ring: a chain of honest peers as far as receipts see it: rows that pass its links one by one, truncations, repairs, and what each peer
 * would sign. Tests bend what is signed afterwards.
 */

import { createHash } from 'node:crypto'
import { EMPTY_HASH, type Grant, type LinkTally, type Receipt, type RowCounts, type RowKind } from '../../../src/protocol/index.ts'
import type { ManifestHash, ModelId, PeerId, SessionId } from '../../../src/shared/index.ts'

export const NOW_MS = 1_700_000_000_000
const peers = new Map<string, PeerId>()
export function peerOf(name: string): PeerId {
  const known = peers.get(name) ?? (createHash('sha256').update(name).digest('hex').slice(0, 32) as PeerId)
  peers.set(name, known)
  return known
}
export const sessionOf = (name: string) => peerOf(name) as string as SessionId

/** A chain of ten layers for each name, in turn. */
export function grantOf(names: readonly string[], changed: Partial<Grant> = {}): Grant {
  return {
    version: 1,
    sessionId: sessionOf('session'),
    revision: 0,
    modelId: 'model' as ModelId,
    manifestHash: 'f'.repeat(64) as ManifestHash,
    driver: peerOf('driver'),
    stages: names.map((name, index) => ({ peerId: peerOf(name), firstLayer: 10 * index, endLayer: 10 * index + 10 })),
    maxPositions: 4_096,
    topK: 1,
    rowEncoding: 'f16e',
    issuedAtMs: NOW_MS,
    expiresAtMs: NOW_MS + 7_200_000,
    ...changed,
  }
}

interface Row {
  readonly kind: RowKind
  readonly wanted: boolean
  readonly content: string
  readonly repeat: boolean
}

/** One end of a link. */
interface End {
  first: number
  rows: Row[]
  passed: RowCounts
}

interface Link {
  readonly sender: End
  readonly receiver: End
  readonly flying: Row[]
}

const NONE: RowCounts = { prompt: 0, decode: 0, results: 0 }

function add(counts: RowCounts, { kind, wanted }: Row): RowCounts {
  return { ...counts, [kind]: counts[kind] + 1, results: counts.results + Number(wanted) }
}

export class Ring {
  readonly grant: Grant
  readonly #links: Link[]
  /** By place: everything it can send again, from position 0. */
  readonly #logs: Row[][]
  readonly #computed: RowCounts[]
  readonly #sequence: number[]
  #resent: RowCounts = NONE
  #epoch: number
  #drawn = 0

  constructor(grant: Grant, before: Ring | null = null) {
    this.grant = grant
    const places = grant.stages.length + 1
    const was = Array.from({ length: places }, (_, place) => before?.placeOf(this.peerAt(place), place) ?? -1)
    this.#logs = was.map((place) => before?.logAt(place) ?? [])
    this.#computed = was.map(() => NONE)
    this.#sequence = was.map(() => 0)
    this.#epoch = before?.epoch ?? 0
    this.#drawn = before === null ? 0 : before.drawn
    this.#links = was.map((_, link) => {
      const place = was[(link + 1) % places] ?? -1
      const first = place < 0 ? 0 : (before?.reached(place) ?? 0)
      const end = () => ({ first, rows: [], passed: NONE })
      return { sender: end(), receiver: end(), flying: [] }
    })
    // Who stayed sends again what its downstream has not.
    for (const [place, log] of this.#logs.entries())
      for (const row of log.slice(this.#links[place]?.sender.first ?? 0)) {
        if (place === 0) this.#resent = add(this.#resent, row)
        this.#pass(place, { ...row, repeat: true })
      }
  }

  get epoch(): number {
    return this.#epoch
  }

  get drawn(): number {
    return this.#drawn
  }

  peerAt(place: number): PeerId {
    return place === 0 ? this.grant.driver : (this.grant.stages[place - 1]?.peerId ?? this.grant.driver)
  }

  /** Where a peer with these layers was; -1: nowhere. */
  placeOf(peerId: PeerId, place: number): number {
    return this.peerAt(place) === peerId ? place : -1
  }

  logAt(place: number): Row[] {
    return place < 0 ? [] : [...(this.#logs[place] ?? [])]
  }

  /** The first position that the peer there has no row of. */
  reached(place: number): number {
    const end = this.#receiverOf(place)
    return end.first + end.rows.length
  }

  /** The driver sends `count` rows. */
  submit(kind: RowKind, count: number, wanted = kind === 'decode'): this {
    for (let k = 0; k < count; k++) {
      const row = { kind, wanted, content: `${this.#drawn++}`, repeat: false }
      this.#logs[0]?.push(row)
      this.#pass(0, row)
    }
    return this
  }

  /** Rows go on, at most `count` over that link; all over all links where none is named. */
  flow(link?: number, count = Number.POSITIVE_INFINITY): this {
    for (const [at, { flying }] of this.#links.entries()) {
      if (link !== undefined && at !== link) continue
      for (let left = count; left > 0 && flying.length > 0; left--) this.#deliver(at)
    }
    return this
  }

  /** Rows on their way are dropped there, as those behind `length`. */
  truncate(length: number): this {
    this.#epoch++
    for (const log of this.#logs) log.splice(length)
    for (const { sender, receiver, flying } of this.#links) {
      for (const end of [sender, receiver]) {
        end.rows.splice(Math.max(0, length - end.first))
        end.first = Math.min(end.first, length)
      }
      const onTheWay = sender.first + sender.rows.length - (receiver.first + receiver.rows.length)
      flying.splice(Math.max(0, onTheWay))
    }
    return this
  }

  /** What the peer there signs, of positions up to `end`. */
  receipt(place: number, { final = false, end = Number.POSITIVE_INFINITY }: { final?: boolean; end?: number } = {}): Receipt {
    const { grant } = this
    const stage = grant.stages[place - 1]
    const computed = this.#computed[place] ?? NONE
    const received = tallyOf(this.#receiverOf(place), end)
    const within = Math.min(computed.prompt, received.prompt)
    const rows = {
      prompt: within,
      decode: Math.min(computed.decode, received.decode),
      results: Math.min(computed.results, received.results),
    }
    this.#sequence[place] = (this.#sequence[place] ?? 0) + 1
    return {
      version: 1,
      sessionId: grant.sessionId,
      revision: grant.revision,
      peerId: this.peerAt(place),
      party:
        stage === undefined
          ? { kind: 'driver', resent: this.#resent }
          : { kind: 'stage', index: place - 1, firstLayer: stage.firstLayer, endLayer: stage.endLayer, computed: rows },
      epoch: this.#epoch,
      received,
      sent: tallyOf(this.#links[place]?.sender ?? { first: 0, rows: [], passed: NONE }, end),
      sequence: this.#sequence[place] ?? 1,
      timeMs: NOW_MS,
      head: null,
      final,
    }
  }

  /** What everybody signs at the end, by place. */
  finals(): Receipt[] {
    return [this.grant.driver, ...this.grant.stages].map((_, place) => this.receipt(place, { final: true }))
  }

  #receiverOf(place: number): End {
    return this.#links[(place + this.#links.length - 1) % this.#links.length]?.receiver ?? { first: 0, rows: [], passed: NONE }
  }

  #pass(place: number, row: Row): void {
    const link = this.#links[place]
    if (link === undefined) return
    link.sender.rows.push(row)
    link.sender.passed = add(link.sender.passed, row)
    link.flying.push(row)
  }

  #deliver(at: number): void {
    const link = this.#links[at]
    const row = link?.flying.shift()
    if (link === undefined || row === undefined) return
    const position = link.receiver.first + link.receiver.rows.length
    link.receiver.rows.push(row)
    link.receiver.passed = add(link.receiver.passed, row)
    const place = (at + 1) % this.#links.length
    if (place === 0) return
    this.#computed[place] = add(this.#computed[place] ?? NONE, row)
    const out = { ...row, content: `${row.content}>${place}` }
    this.#logs[place]?.push(out)
    // What the downstream has already is computed again and not sent.
    if (position >= (this.#links[place]?.sender.first ?? 0)) this.#pass(place, out)
  }
}

function tallyOf({ first, rows, passed }: End, end: number): LinkTally {
  const kept = rows.slice(0, Math.max(0, end - first))
  const beyond = rows.slice(kept.length).reduce(add, NONE)
  const hash = kept.reduce(
    (h, { kind, content }, at) =>
      createHash('sha256')
        .update(`${h}${first + at}${kind}${content}`)
        .digest('hex'),
    EMPTY_HASH,
  )
  return {
    firstPosition: first,
    endPosition: first + kept.length,
    prompt: passed.prompt - beyond.prompt,
    decode: passed.decode - beyond.decode,
    results: passed.results - beyond.results,
    hash,
  }
}
