/**
 * Auditing: computes layers once more over rows of a session that others had, so that the coordinator can compare. Only when no session has
 * rows to compute, a few rows a pass, in a slot of its own that it gives up as soon as a session needs the room, or on an engine of its own. Rules V22
 * and V26 of protocol/SPEC.md.
 */

import { coversSpan, isFirstSpan, isLastSpan, type ModelConfig } from '../model/index.ts'
import { type AuditOrder, type AuditRow, type AuditRows, type AuditTable, auditRowBytes, encodeCandidates } from '../protocol/index.ts'
import { concatBytes, required, TabswarmError, toErrorBody } from '../shared/index.ts'
import type { Engine, Segment, SegmentOutput, Slot } from '../worker/engine.ts'
import type { ServedSpan } from './place.ts'
import { tokenIds } from './rowQueue.ts'

export type AuditedLayers = Pick<AuditOrder, 'manifestHash' | 'span' | 'inputEnd' | 'outputFirst' | 'rowEncoding' | 'topK'>

/** Rows of one pass: a session's row that comes meanwhile waits for its end. */
const PASS_ROWS_MAX = 16
/** Audits that wait or run: others are refused, and asked of somebody else. */
const AUDITS_MAX = 2

/** Layers on an engine that nothing else uses. */
export interface AuditLayers {
  readonly engine: Engine
  readonly served: ServedSpan
}

export interface AuditingOptions {
  readonly engine: () => Engine
  /** Null: nothing. */
  readonly served: () => ServedSpan | null
  /** There are rows to compute. */
  readonly onReady: () => void
}

interface Audit {
  readonly order: AuditedLayers
  readonly rows: AuditRows
  readonly config: ModelConfig
  readonly engine: Engine
  readonly slot: Slot
  /** Given up while its rows are in a pass: why it ends after that. */
  given: TabswarmError | null
  /** Of an output row. */
  readonly rowBytes: number
  /** From `outputFirst` on. */
  readonly output: AuditRow[]
  readonly resolve: (output: AuditTable) => void
  readonly reject: (error: Error) => void
}

export class Auditing {
  readonly #options: AuditingOptions
  #audits: Audit[] = []
  #inPass: Audit | null = null

  constructor(options: AuditingOptions) {
    this.#options = options
  }

  /** Rejects with a TabswarmError: `busy`, `not-serving`, `no-room`, `gave-way`, or whatever the engine makes of the rows. */
  async add(order: AuditedLayers, rows: AuditRows, own: AuditLayers | null): Promise<AuditTable> {
    const { engine: present, served: offered, onReady } = this.#options
    const served = own?.served ?? offered()
    const { span, inputEnd, manifestHash } = order
    if (this.#audits.length >= AUDITS_MAX) throw new TabswarmError('busy', `${AUDITS_MAX} audits wait here already`)
    if (served === null || !coversSpan(served.span, span) || served.manifestHash !== manifestHash || inputEnd > served.config.contextLength)
      throw new TabswarmError('not-serving', `this peer does not hold layers ${span.firstLayer}–${span.endLayer - 1} of that model`)
    const engine = own?.engine ?? present()
    const slot = engine.open({ span, maxPositions: inputEnd })
    if (!slot.ok) throw new TabswarmError('no-room', `no KV memory for ${inputEnd} positions is free here`)
    return new Promise((resolve, reject) => {
      const { config } = served
      const { output: rowBytes } = auditRowBytes({ ...span, ...config, rowEncoding: order.rowEncoding, topK: order.topK })
      this.#audits.push({ order, rows, config, engine, slot: slot.value, rowBytes, given: null, output: [], resolve, reject })
      onReady()
    })
  }

  /** Computes some rows of an audit; false where there are none. */
  async pass(): Promise<boolean> {
    const audit = this.#audits[0]
    if (audit === undefined) return false
    this.#inPass = audit
    let end = 0
    try {
      const first = audit.engine.length(audit.slot)
      const segment = segmentOf(audit, first)
      const { outputs } = await audit.engine.forward([segment])
      addOutput(audit, segment, required(outputs[0], 'an output'))
      end = first + rowCountOf(segment)
    } catch (error) {
      const { reason, message } = toErrorBody(error)
      audit.given ??= new TabswarmError(reason, message)
    } finally {
      this.#inPass = null
    }
    if (audit.given !== null) this.#giveUp(audit, audit.given)
    else if (end === audit.order.inputEnd) this.#finish(audit)
    return true
  }

  /** A session needs the room: true where an audit has given its own back. */
  giveWay(): boolean {
    const audit = this.#audits.findLast((one) => one !== this.#inPass && one.engine === this.#options.engine())
    if (audit === undefined) return false
    this.#giveUp(audit, new TabswarmError('gave-way', 'a session needed the room'))
    return true
  }

  /** Whatever waits or runs is given up; what is in a pass, after it. */
  drop(): void {
    for (const audit of [...this.#audits])
      this.#giveUp(audit, new TabswarmError('not-serving', 'this peer has stopped to serve these layers'))
  }

  #giveUp(audit: Audit, reason: TabswarmError): void {
    if (audit === this.#inPass) {
      audit.given = reason
      return
    }
    audit.engine.close(audit.slot)
    this.#end(audit, () => audit.reject(reason))
  }

  #finish(audit: Audit): void {
    const { rowBytes, output } = audit
    audit.engine.close(audit.slot)
    this.#end(audit, () => audit.resolve({ rowBytes, rows: output }))
  }

  #end(audit: Audit, tell: () => void): void {
    this.#audits = this.#audits.filter((other) => other !== audit)
    tell()
  }
}

/** The next rows of one kind; those whose output is asked for are its last. */
function segmentOf({ order, rows, config, slot }: Audit, first: number): Segment {
  const { inputEnd, outputFirst, span, rowEncoding, topK } = order
  const isAsked = (position: number) => rows.output.rows[position - outputFirst]?.given === true
  const { kind } = required(rows.input.rows[first], `row ${first}`)
  let end = first + 1
  while (end < Math.min(inputEnd, first + PASS_ROWS_MAX) && rows.input.rows[end]?.kind === kind && !(isAsked(end - 1) && !isAsked(end)))
    end++
  const input = rows.input.rows.slice(first, end)
  const bytes = concatBytes(input.map((row) => row.bytes))
  const resultCount = input.filter((_, index) => isAsked(first + index)).length
  return {
    slot,
    kind,
    firstPosition: first,
    input: isFirstSpan(span)
      ? { kind: 'tokens', ids: tokenIds(bytes) }
      : { kind: 'rows', encoding: rowEncoding, rowCount: input.length, bytes },
    output: isLastSpan(config, span)
      ? { kind: 'candidates', resultCount, topK: Math.min(topK, config.vocabularySize) }
      : { kind: 'rows', encoding: rowEncoding },
  }
}

function addOutput({ order, rows, config, rowBytes, output }: Audit, segment: Segment, given: SegmentOutput): void {
  const { outputFirst, topK } = order
  const count = rowCountOf(segment)
  const bytes =
    given.kind === 'rows' ? given.bytes : given.kind === 'candidates' ? encodeCandidates(given.positions, topKOfSpan(topK, config)) : null
  if (bytes === null) throw new TabswarmError('internal', `the engine gave ${given.kind}`)
  const firstGiven = count - bytes.byteLength / rowBytes
  for (let row = 0; row < count; row++) {
    const position = segment.firstPosition + row
    if (position < outputFirst) continue
    const asked = rows.output.rows[position - outputFirst]?.given === true
    const at = (row - firstGiven) * rowBytes
    output.push({ kind: segment.kind, given: asked, bytes: asked ? bytes.slice(at, at + rowBytes) : new Uint8Array(0) })
  }
}

function topKOfSpan(topK: number, { vocabularySize }: ModelConfig): number {
  return Math.min(topK, vocabularySize)
}

function rowCountOf({ input }: Segment): number {
  return input.kind === 'tokens' ? input.ids.length : input.rowCount
}
