/**
 * AuditErrands: what the coordinator asks of a stage for audits, carried out over HTTP: hands over the rows of a part that has ended, or fetches
 * another stage's input, computes it and brings the output. What cannot be done is refused, so that nobody waits. Rules V15, V21 and V22.
 */

import {
  AUDIT_BYTES_MAX,
  type AuditOrder,
  type AuditShape,
  auditRowBytes,
  decodeAuditRows,
  encodeAuditRows,
  NO_AUDIT_ROWS,
  type SendLog,
} from '../protocol/index.ts'
import { TabswarmError } from '../shared/index.ts'
import type { ServedSpan, StageHost } from '../stage/index.ts'

export type AuditErrand = SendLog | AuditOrder

export interface AuditErrandPorts {
  readonly fetch: (url: string, init?: RequestInit) => Promise<Response>
  /** What this peer serves with, null: nothing. */
  readonly stage: () => Pick<StageHost, 'encodeLog' | 'audit' | 'served'> | null
}

const TYPE = 'application/octet-stream'

export class AuditErrands {
  readonly #ports: AuditErrandPorts

  constructor(ports: AuditErrandPorts) {
    this.#ports = ports
  }

  /** Never rejects: what fails here the coordinator notices. `url`: of the errand's path. */
  async run(errand: AuditErrand, url: string): Promise<void> {
    const request = (method: 'GET' | 'PUT' | 'DELETE', body?: Uint8Array<ArrayBuffer>) =>
      this.#ports.fetch(url, {
        method,
        headers: { authorization: `Bearer ${errand.token}`, ...(body === undefined ? {} : { 'content-type': TYPE }) },
        ...(body === undefined ? {} : { body }),
      })
    try {
      const bytes = errand.type === 'send-log' ? this.#log(errand) : await this.#compute(errand, await request('GET'))
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

  async #compute(order: AuditOrder, response: Response): Promise<Uint8Array<ArrayBuffer>> {
    const stage = this.#ports.stage()
    const served = stage?.served ?? null
    if (stage === null || served === null) throw new TabswarmError('not-serving', 'this peer serves nothing')
    if (!response.ok) throw new TabswarmError('unknown-audit', `the coordinator answered ${response.status}`)
    if (Number(response.headers.get('content-length')) > AUDIT_BYTES_MAX)
      throw new TabswarmError('too-large', 'more rows than an audit may have')
    const rows = decodeAuditRows(new Uint8Array(await response.arrayBuffer()), shapeOf(order, served))
    if (!rows.ok) throw new TabswarmError('bad-rows', rows.error)
    return encodeAuditRows({ input: NO_AUDIT_ROWS, output: await stage.audit(order, rows.value) })
  }
}

/** Of what an auditor gets: the input, and which rows of the output are asked for. */
function shapeOf({ span, inputEnd, outputFirst, rowEncoding, topK }: AuditOrder, { config }: ServedSpan): AuditShape {
  const { input: rowBytes } = auditRowBytes({ ...config, ...span, rowEncoding, topK })
  return { input: { rowCount: inputEnd, rowBytes }, output: { rowCount: Math.max(0, inputEnd - outputFirst), rowBytes: 0 } }
}
