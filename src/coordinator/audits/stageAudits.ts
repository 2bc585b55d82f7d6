/**
 * StageAudits: asks a stage for its rows, checks them against its receipts, has a peer or the coordinator's own engine compute them again, and tells
 * how far the two are apart. Whom to audit, who audits and what a distance means is verification's. Rules V15, V17, V20 … V23 and V29.
 */

import type { ModelConfig } from '../../model/index.ts'
import {
  AUDIT_BYTES_MAX,
  type AuditOrder,
  type AuditRows,
  type AuditShape,
  type AuditTable,
  auditBytesMax,
  auditRowBytes,
  decodeAuditRows,
  encodeAuditRows,
  type Grant,
  NO_ROWS_SHAPE,
  type ServerMessage,
} from '../../protocol/index.ts'
import type { ModelId, PeerId, Sha256 } from '../../shared/index.ts'
import type { AuditDesk, AuditEffect, AuditEvent, PossibleAuditor } from '../economy/index.ts'
import { type Auditor, type AuditorRequest, MEASURED_TOLERANCE } from '../verification/index.ts'
import { type RowMeaning, tableDistance } from './distance.ts'
import type { AuditExchange, Ticket } from './exchange.ts'
import { areCommitted, type Challenged, type Wanted, wantedOf } from './handedOver.ts'
import { AUDITS_MAX } from './limits.ts'
import type { OwnEngine } from './ownEngine.ts'

export interface SpareMemory {
  readonly peerId: PeerId
  readonly memoryBytes: number
}

export interface StageAuditsOptions {
  readonly exchange: AuditExchange
  readonly models: ReadonlyMap<ModelId, ModelConfig>
  /** Who serves these layers now. */
  readonly serving: (request: AuditorRequest) => readonly PeerId[]
  /** Who serves them not, and could load them beside what it has, now, and within how many bytes. */
  readonly spares: (request: AuditorRequest) => readonly SpareMemory[]
  /** Null: the coordinator computes nothing itself. */
  readonly own: OwnEngine | null
  readonly tell: (peerId: PeerId, message: ServerMessage) => void
  readonly sha256: Sha256
  /** Lets others have their turn. */
  readonly pause: () => Promise<void>
  readonly log: (line: string) => void
}

type Effect<Kind extends AuditEffect['kind']> = Extract<AuditEffect, { kind: Kind }>
type Tell = (event: AuditEvent) => void

/** A peer's id, or the coordinator's arithmetic. */
type AuditorKey = string

interface Audit {
  readonly peerId: PeerId
  readonly grant: Grant
  readonly config: ModelConfig
  readonly challenged: Challenged
  readonly wanted: Wanted
  readonly tell: Tell
  rows: AuditRows | null
  /** What auditors gave. */
  readonly outputs: Map<AuditorKey, AuditTable>
  auditor: AuditorKey | null
  /** The stage's, and one of each auditor. */
  readonly tickets: Ticket[]
}

export class StageAudits implements AuditDesk {
  readonly #options: StageAuditsOptions
  /** By claim. */
  readonly #audits = new Map<string, Audit>()

  constructor(options: StageAuditsOptions) {
    this.#options = options
  }

  /** Under way. */
  get count(): number {
    return this.#audits.size
  }

  candidates(request: AuditorRequest): readonly PossibleAuditor[] {
    const { serving, spares } = this.#options
    const loaded = serving(request).map((peerId) => ({ peerId, kind: 'loaded' }) as const)
    return [...loaded, ...spares(request).map(({ peerId }) => ({ peerId, kind: 'spare' }) as const)]
  }

  hasOwnEngine(request: AuditorRequest): boolean {
    return this.#options.own?.fits(request) === true
  }

  /** One for all pairs of classes: MEASURED_TOLERANCE says why. */
  tolerance(): number {
    return MEASURED_TOLERANCE.default
  }

  handle(effect: AuditEffect, tell: Tell): void {
    switch (effect.kind) {
      case 'challenge':
        return this.#challenge(effect, tell)
      case 'audit':
        return this.#audit(effect, tell)
      case 'verdict':
        return this.#forget(effect.claimId)
    }
  }

  left(peerId: PeerId): void {
    for (const [claimId, audit] of [...this.#audits]) this.#lost(claimId, audit, peerId)
  }

  /** What cannot be audited is taken for handed over: then no auditor is found, and the rule decides. */
  #challenge({ claimId, peerId, grant, ...challenged }: Effect<'challenge'>, tell: Tell): void {
    const config = this.#options.models.get(grant.modelId)
    const wanted = wantedOf(challenged)
    const unseen = () => tell({ kind: 'answered', claimId, committed: true })
    if (config === undefined || wanted === null || this.#audits.size >= AUDITS_MAX) return unseen()
    const audit: Audit = { peerId, grant, config, challenged, wanted, tell, rows: null, outputs: new Map(), auditor: null, tickets: [] }
    const shape = handedShape(audit)
    if (auditBytesMax(shape) > AUDIT_BYTES_MAX) return unseen()
    const ticket = this.#options.exchange.open({
      task: null,
      bytesMax: auditBytesMax(shape),
      onBrought: (bytes) => void this.#handedOver(claimId, audit, bytes, shape),
      onRefused: () => undefined,
    })
    if (ticket === null) return unseen()
    audit.tickets.push(ticket)
    this.#audits.set(claimId, audit)
    const { sessionId } = grant
    const { inputEnd, output } = wanted
    const { path, token } = ticket
    const span = spanOf(challenged)
    this.#options.tell(peerId, {
      type: 'send-log',
      sessionId,
      span,
      inputEnd,
      outputFirst: output.first,
      outputEnd: output.end,
      path,
      token,
    })
  }

  /** Rows of another shape are no answer. */
  async #handedOver(claimId: string, audit: Audit, bytes: Uint8Array, shape: AuditShape): Promise<void> {
    const rows = decodeAuditRows(bytes, shape)
    if (!rows.ok) return this.#options.log(`a challenged stage handed over what is no log: ${rows.error}`)
    const committed = await areCommitted(rows.value, audit.wanted, this.#options.sha256)
    if (this.#audits.get(claimId) !== audit) return
    audit.rows = rows.value
    audit.tell({ kind: 'answered', claimId, committed })
  }

  #audit({ claimId, auditor, against }: Effect<'audit'>, tell: Tell): void {
    const audit = this.#audits.get(claimId)
    if (audit === undefined || audit.rows === null) return tell({ kind: 'auditor-lost', claimId })
    const key = keyOf(auditor)
    audit.auditor = key
    const asked = askedOf(audit, audit.rows)
    const shape = { input: NO_ROWS_SHAPE, output: { rowCount: asked.output.rows.length, rowBytes: rowBytesOf(audit).output } }
    const dissenter = against === null ? null : keyOf(against)
    let isAnswered = false
    const ticket = this.#options.exchange.open({
      task: encodeAuditRows(asked),
      bytesMax: auditBytesMax(shape),
      onBrought: (bytes) => {
        isAnswered = true
        void this.#computed(claimId, audit, key, { bytes, shape, dissenter })
      },
      onRefused: () => this.#lost(claimId, audit, key),
    })
    if (ticket === null) return this.#lost(claimId, audit, key)
    audit.tickets.push(ticket)
    if ('peerId' in auditor) {
      const memoryBytesMax = auditor.kind === 'spare' ? this.#spareBytes(audit, auditor.peerId) : null
      return this.#options.tell(auditor.peerId, orderOf(audit, ticket, memoryBytesMax))
    }
    const { own, log } = this.#options
    if (own === null) return this.#lost(claimId, audit, key)
    void own
      .run(orderOf(audit, ticket, own.memoryBytes), auditor.arithmetic)
      .catch((error: unknown) => log(`the coordinator could not audit a result itself: ${String(error)}`))
      .then(() => {
        if (!isAnswered) this.#lost(claimId, audit, key)
      })
  }

  /** 0 where it has no room any more: it will refuse. */
  #spareBytes({ challenged, grant }: Audit, peerId: PeerId): number {
    const { firstLayer, endLayer, endPosition } = challenged
    const { sessionId, modelId } = grant
    const spares = this.#options.spares({ sessionId, modelId, firstLayer, endLayer, endPosition })
    return spares.find((spare) => spare.peerId === peerId)?.memoryBytes ?? 0
  }

  async #computed(
    claimId: string,
    audit: Audit,
    auditor: AuditorKey,
    { bytes, shape, dissenter }: { readonly bytes: Uint8Array; readonly shape: AuditShape; readonly dissenter: AuditorKey | null },
  ): Promise<void> {
    const isCurrent = () => this.#audits.get(claimId) === audit && audit.auditor === auditor
    const computed = decodeAuditRows(bytes, shape)
    if (audit.rows === null || !isCurrent()) return
    if (!computed.ok) return this.#lost(claimId, audit, auditor)
    const meaning = meaningOf(audit)
    const { pause } = this.#options
    const { output } = computed.value
    const distance = await tableDistance(handedOutput(audit, audit.rows), output, meaning, pause)
    const other = dissenter === null ? undefined : audit.outputs.get(dissenter)
    const between = other === undefined ? null : await tableDistance(other, output, meaning, pause)
    if (!isCurrent()) return
    audit.outputs.set(auditor, output)
    audit.tell({ kind: 'audited', claimId, distance, between })
  }

  /** Nothing happens where somebody else audits by now. */
  #lost(claimId: string, audit: Audit, auditor: AuditorKey): void {
    if (this.#audits.get(claimId) !== audit || audit.auditor !== auditor) return
    audit.auditor = null
    audit.tell({ kind: 'auditor-lost', claimId })
  }

  #forget(claimId: string): void {
    for (const ticket of this.#audits.get(claimId)?.tickets ?? []) ticket.close()
    this.#audits.delete(claimId)
  }
}

function keyOf(auditor: Auditor): AuditorKey {
  return 'peerId' in auditor ? auditor.peerId : `${auditor.kind} ${auditor.arithmetic}`
}

function orderOf({ grant, challenged }: Audit, { path, token }: Ticket, memoryBytesMax: number | null): AuditOrder {
  const { modelId, manifestHash, rowEncoding, topK } = grant
  const stretch = { span: spanOf(challenged), inputEnd: challenged.endPosition, outputFirst: challenged.firstPosition }
  return { type: 'audit', modelId, manifestHash, ...stretch, memoryBytesMax, rowEncoding, topK, path, token }
}

function spanOf({ firstLayer, endLayer }: Challenged): { readonly firstLayer: number; readonly endLayer: number } {
  return { firstLayer, endLayer }
}

function rowBytesOf({ challenged, config, grant: { rowEncoding, topK } }: Audit): { readonly input: number; readonly output: number } {
  return auditRowBytes({ ...config, ...spanOf(challenged), rowEncoding, topK })
}

/** Of what the stage hands over. */
function handedShape(audit: Audit): AuditShape {
  const { inputEnd, output } = audit.wanted
  const { input: inputBytes, output: outputBytes } = rowBytesOf(audit)
  return {
    input: { rowCount: inputEnd, rowBytes: inputBytes },
    output: { rowCount: output.end - output.first, rowBytes: outputBytes },
  }
}

/** The stage's output of the stretch that is audited. */
function handedOutput({ challenged, wanted }: Audit, { output }: AuditRows): AuditTable {
  const at = wanted.output.first
  return { rowBytes: output.rowBytes, rows: output.rows.slice(challenged.firstPosition - at, challenged.endPosition - at) }
}

/** What an auditor gets: the input, and of the output which rows there are. */
function askedOf(audit: Audit, rows: AuditRows): AuditRows {
  const { endPosition } = audit.challenged
  const asked = handedOutput(audit, rows).rows.map(({ kind, given }) => ({ kind, given, bytes: NO_BYTES }))
  return { input: { ...rows.input, rows: rows.input.rows.slice(0, endPosition) }, output: { rowBytes: 0, rows: asked } }
}

const NO_BYTES = new Uint8Array(0)

function meaningOf({ challenged, config, grant }: Audit): RowMeaning {
  const { width, vocabularySize, layerCount } = config
  if (challenged.endLayer === layerCount) return { kind: 'candidates', vocabularySize }
  return { kind: 'rows', encoding: grant.rowEncoding, width }
}
