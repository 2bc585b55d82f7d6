/**
 * AuditErrands: what the coordinator asks of a stage for audits, carried out over HTTP: hands over the rows of a part that has ended, or fetches
 * another stage's input, computes it, with layers loaded for it where it serves others, and brings the output. What cannot be done is refused, so that
 * nobody waits. Rules V15, V21, V22 and V26.
 */

import type { ModelConfig } from '../model/index.ts'
import {
  AUDIT_BYTES_MAX,
  type AuditOrder,
  type AuditRows,
  type AuditShape,
  type AuditTable,
  auditRowBytes,
  decodeAuditRows,
  encodeAuditRows,
  NO_AUDIT_ROWS,
  type SendLog,
} from '../protocol/index.ts'
import { TabswarmError } from '../shared/index.ts'
import type { StageHost } from '../stage/index.ts'
import type { SpareLayers } from './spareLayers.ts'
import type { AuditErrand, AuditedModel } from './workerApi.ts'

export interface AuditErrandPorts {
  readonly fetch: (url: string, init?: RequestInit) => Promise<Response>
  /** What this peer serves with, null: nothing. */
  readonly stage: () => Pick<StageHost, 'encodeLog' | 'audit' | 'served'> | null
  readonly spare: Pick<SpareLayers, 'use'>
}

const TYPE = 'application/octet-stream'

export class AuditErrands {
  readonly #ports: AuditErrandPorts

  constructor(ports: AuditErrandPorts) {
    this.#ports = ports
  }

  /** Never rejects: what fails here the coordinator notices. `url`: of the errand's path; `model`: of layers that are to be loaded. */
  async run(errand: AuditErrand, url: string, model: AuditedModel | null): Promise<void> {
    const request = (method: 'GET' | 'PUT' | 'DELETE', body?: Uint8Array<ArrayBuffer>) =>
      this.#ports.fetch(url, {
        method,
        headers: { authorization: `Bearer ${errand.token}`, ...(body === undefined ? {} : { 'content-type': TYPE }) },
        ...(body === undefined ? {} : { body }),
      })
    try {
      const bytes = errand.type === 'send-log' ? this.#log(errand) : await this.#compute(errand, model, await request('GET'))
      await request('PUT', bytes)
    } catch {
      await request('DELETE').catch(() => undefined)
    }
  }

  #log(wanted: SendLog): Uint8Array<ArrayBuffer> {
    const bytes = this.#ports.stage()?.encodeLog(wanted) ?? null
    if (bytes === null) throw new TabswarmError('not-kept', `the rows of session ${wanted.sessionId} are not kept here`)
    return bytes
  }

  async #compute(order: AuditOrder, model: AuditedModel | null, response: Response): Promise<Uint8Array<ArrayBuffer>> {
    const stage = this.#ports.stage()
    const config = order.memoryBytesMax === null ? stage?.served?.config : model?.manifest.config
    if (stage === null || config === undefined)
      throw new TabswarmError('not-serving', 'this peer has not the layers that are to be audited')
    if (!response.ok) throw new TabswarmError('unknown-audit', `the coordinator answered ${response.status}`)
    if (Number(response.headers.get('content-length')) > AUDIT_BYTES_MAX)
      throw new TabswarmError('too-large', 'more rows than an audit may have')
    const rows = decodeAuditRows(new Uint8Array(await response.arrayBuffer()), shapeOf(order, config))
    if (!rows.ok) throw new TabswarmError('bad-rows', rows.error)
    return encodeAuditRows({ input: NO_AUDIT_ROWS, output: await this.#audit(stage, order, rows.value, model) })
  }

  #audit(stage: Pick<StageHost, 'audit'>, order: AuditOrder, rows: AuditRows, model: AuditedModel | null): Promise<AuditTable> {
    const { manifestHash, span, memoryBytesMax, inputEnd: kvPositions } = order
    if (memoryBytesMax === null || model === null) return stage.audit(order, rows)
    const { manifest, modelUrl } = model
    const request = { manifest, manifestHash, modelUrl, span, kvPositions, memoryBytesMax }
    return this.#ports.spare.use(request, (layers) => stage.audit(order, rows, layers))
  }
}

/** Of what an auditor gets: the input, and which rows of the output are asked for. */
function shapeOf({ span, inputEnd, outputFirst, rowEncoding, topK }: AuditOrder, config: ModelConfig): AuditShape {
  const { input: rowBytes } = auditRowBytes({ ...config, ...span, rowEncoding, topK })
  return { input: { rowCount: inputEnd, rowBytes }, output: { rowCount: Math.max(0, inputEnd - outputFirst), rowBytes: 0 } }
}
