/** Audits of stages, with whoever may fail them: an auditor that refuses, leaves or brings nonsense, a stage that hands over something else. */

import { describe, expect, it } from 'vitest'
import { AuditExchange, type OwnEngine, StageAudits } from '../../../src/coordinator/audits/index.ts'
import type { AuditEvent } from '../../../src/coordinator/economy/index.ts'
import type { VerificationEffect } from '../../../src/coordinator/verification/index.ts'
import {
  type AuditOrder,
  type AuditRow,
  type AuditTable,
  EMPTY_HASH,
  encodeAuditRows,
  encodeRows,
  type Grant,
  NO_AUDIT_ROWS,
  type Receipt,
  rowHashInput,
  type ServerMessage,
} from '../../../src/protocol/index.ts'
import { fromHex, type ModelId, type PeerId, required, type SessionId, toHex } from '../../../src/shared/index.ts'
import { modelConfig } from '../../support/modelConfig.ts'
import { sha256 } from '../chain/world.ts'

const WIDTH = 4
const ROWS = 6
const MODEL = 'model' as ModelId
const [stage, one, two, three] = ['stage', 'one', 'two', 'three'] as PeerId[] as [PeerId, PeerId, PeerId, PeerId]
const config = modelConfig({
  layerCount: 6,
  width: WIDTH,
  headCount: 1,
  kvHeadCount: 1,
  headSize: 4,
  feedForwardWidth: 4,
  vocabularySize: 50,
  contextLength: 64,
})

const table = (seed: number): AuditTable => ({
  rowBytes: 4 * WIDTH,
  rows: Array.from({ length: ROWS }, (_, row): AuditRow => {
    const values = Float32Array.from({ length: WIDTH }, (_value, column) => seed + row * WIDTH + column)
    return { kind: 'prompt', given: true, bytes: encodeRows('f32', values, WIDTH) }
  }),
})

async function tallyOf({ rows }: AuditTable) {
  let hash: Uint8Array = fromHex(EMPTY_HASH)
  for (const [position, { kind, bytes }] of rows.entries()) hash = await sha256(rowHashInput(hash, position, kind, bytes))
  return { firstPosition: 0, endPosition: ROWS, prompt: ROWS, decode: 0, results: 0, hash: toHex(hash) }
}

interface WorldOptions {
  readonly handed?: AuditTable
  readonly signed?: AuditTable
  readonly own?: OwnEngine | null
}

/** A challenge of the middle layers, handed over as `handed` while receipts say `signed`. */
async function world({ handed = table(2), signed = table(2), own = null }: WorldOptions = {}) {
  const exchange = new AuditExchange((count) => crypto.getRandomValues(new Uint8Array(count)))
  const told: { readonly peerId: PeerId; readonly message: ServerMessage }[] = []
  const events: AuditEvent[] = []
  const audits = new StageAudits({
    exchange,
    models: new Map([[MODEL, config]]),
    serving: () => [one, two],
    spares: ({ endPosition }) => (endPosition === ROWS ? [{ peerId: three, memoryBytes: 7_000 }] : []),
    own,
    tell: (peerId, message) => void told.push({ peerId, message }),
    sha256,
    pause: async () => undefined,
    log: () => undefined,
  })
  const party = { kind: 'stage', index: 1, firstLayer: 2, endLayer: 4 }
  const commitments = [{ party, received: await tallyOf(table(1)), sent: await tallyOf(signed) }] as unknown as Receipt[]
  const grant = { sessionId: 's', modelId: MODEL, rowEncoding: 'f32', topK: 8 } as unknown as Grant
  const tell = (event: AuditEvent) => void events.push(event)
  const claim = { claimId: 'c', firstLayer: 2, endLayer: 4, firstPosition: 2, endPosition: ROWS } as const
  audits.handle({ kind: 'challenge', peerId: stage, ...claim, commitments, grant }, tell)
  /** What the last message's ticket is for. */
  const ticket = () => {
    const { message } = required(told.at(-1), 'a message')
    if (message.type !== 'send-log' && message.type !== 'audit') throw new Error(`told ${message.type}`)
    return [message.path.slice('/audits/'.length), message.token] as const
  }
  const settle = async () => {
    for (let turn = 0; turn < 20; turn++) await new Promise((resolve) => setImmediate(resolve))
  }
  return {
    exchange,
    audits,
    told,
    events,
    ticket,
    async bring(bytes: Uint8Array) {
      exchange.take(...ticket())?.onBrought(bytes)
      await settle()
    },
    handOver: encodeAuditRows({ input: table(1), output: handed }),
    auditOwn(arithmetic: 'fast' | 'reference', against: 'fast' | null = null) {
      const auditor = (which: 'fast' | 'reference') => ({ kind: 'coordinator', arithmetic: which }) as const
      audits.handle({ kind: 'audit', claimId: 'c', auditor: auditor(arithmetic), against: against && auditor(against) }, tell)
    },
    settle,
    audit(peerId: PeerId, against: PeerId | null = null, kind: 'loaded' | 'spare' = 'loaded') {
      const auditor = (id: PeerId) => ({ kind, peerId: id, holder: id, network: null }) as const
      const effect: Extract<VerificationEffect, { kind: 'audit' }> = {
        kind: 'audit',
        claimId: 'c',
        auditor: auditor(peerId),
        against: against === null ? null : auditor(against),
      }
      audits.handle(effect, tell)
    },
  }
}

const outputOf = ({ rows, rowBytes }: AuditTable) => encodeAuditRows({ input: NO_AUDIT_ROWS, output: { rowBytes, rows: rows.slice(2) } })

describe('audits by peers', () => {
  it('[V17] an auditor gets the input and which rows are asked for, never the output; distances are of its rows', async () => {
    const made = await world()
    await made.bring(made.handOver)
    expect(made.events).toEqual([{ kind: 'answered', claimId: 'c', committed: true }])
    made.audit(one)
    const task = required(made.exchange.find(...made.ticket())?.task ?? undefined, 'a task')
    const asked = table(2)
      .rows.slice(2)
      .map((row) => ({ ...row, bytes: new Uint8Array(0) }))
    expect(task).toEqual(encodeAuditRows({ input: table(1), output: { rowBytes: 0, rows: asked } }))
    await made.bring(outputOf(table(3)))
    expect(made.events.at(-1)).toMatchObject({ kind: 'audited', between: null })
    made.audit(two, one)
    await made.bring(outputOf(table(3)))
    expect(made.events.at(-1)).toMatchObject({ kind: 'audited', between: 0 })
    const found = { peerId: stage, sessionId: 's' as SessionId, span: { firstLayer: 2, endLayer: 4 }, reason: '' }
    made.audits.handle({ kind: 'verdict', claimId: 'c', ...found, verdict: 'failed' }, () => undefined)
    expect([made.audits.count, made.exchange.bytes]).toEqual([0, 0])
  })

  it('[V26] a spare is told what it has room for', async () => {
    const made = await world()
    const request = { sessionId: 's' as SessionId, modelId: MODEL, firstLayer: 2, endLayer: 4, endPosition: ROWS }
    expect(made.audits.candidates(request)).toEqual([
      { peerId: one, kind: 'loaded' },
      { peerId: two, kind: 'loaded' },
      { peerId: three, kind: 'spare' },
    ])
    await made.bring(made.handOver)
    made.audit(one)
    expect(made.told.at(-1)).toMatchObject({ peerId: one, message: { type: 'audit', memoryBytesMax: null } })
    made.exchange.take(...made.ticket())?.onRefused()
    made.audit(three, null, 'spare')
    expect(made.told.at(-1)).toMatchObject({ peerId: three, message: { type: 'audit', memoryBytesMax: 7_000, inputEnd: ROWS } })
    await made.bring(outputOf(table(2)))
    expect(made.events.at(-1)).toMatchObject({ kind: 'audited', distance: 0 })
  })

  it('[V15] rows that are not those of the receipts are told as such; what is no log is no answer', async () => {
    const forged = await world({ handed: table(3) })
    await forged.bring(forged.handOver)
    expect(forged.events).toEqual([{ kind: 'answered', claimId: 'c', committed: false }])
    const garbage = await world()
    await garbage.bring(garbage.handOver.subarray(1))
    expect(garbage.events).toEqual([])
  })

  it('[V22] an auditor that refuses, leaves or brings another shape is lost, and its late rows count nowhere', async () => {
    const made = await world()
    await made.bring(made.handOver)
    made.audit(one)
    made.exchange.take(...made.ticket())?.onRefused()
    expect(made.events.at(-1)?.kind).toBe('auditor-lost')
    made.audit(two)
    const late = made.exchange.find(...made.ticket())
    made.audits.left(one)
    expect(made.events).toHaveLength(2)
    made.audits.left(two)
    expect(made.events.map(({ kind }) => kind)).toEqual(['answered', 'auditor-lost', 'auditor-lost'])
    late?.onBrought(outputOf(table(2)))
    made.audit(one)
    await made.bring(new Uint8Array(9))
    expect(made.events.map(({ kind }) => kind)).toEqual(['answered', 'auditor-lost', 'auditor-lost', 'auditor-lost'])
  })
})

describe('[V29] the coordinator’s own engine', () => {
  const request = { sessionId: 's' as SessionId, modelId: MODEL, firstLayer: 2, endLayer: 4, endPosition: ROWS }

  /** Brings what the test says for each arithmetic, over the path that it is told, as a peer would; nothing: it ends without a word. */
  function engineThat(brings: Partial<Record<'fast' | 'reference', AuditTable>>) {
    const orders: { readonly arithmetic: string; readonly order: AuditOrder }[] = []
    let exchange: AuditExchange | null = null
    const own: OwnEngine = {
      memoryBytes: 5_000,
      fits: ({ endPosition }) => endPosition === ROWS,
      async run(order, arithmetic) {
        orders.push({ order, arithmetic })
        const output = brings[arithmetic]
        if (output === undefined) throw new Error('it has died')
        exchange?.take(order.path.slice('/audits/'.length), order.token)?.onBrought(outputOf(output))
      },
    }
    return {
      own,
      orders,
      over(opened: AuditExchange): void {
        exchange = opened
      },
    }
  }

  it('gets what a spare would, and is compared in the same way: with the stage, and with its other arithmetic', async () => {
    const engine = engineThat({ fast: table(3), reference: table(3) })
    const made = await world({ own: engine.own })
    engine.over(made.exchange)
    expect([made.audits.hasOwnEngine(request), made.audits.hasOwnEngine({ ...request, endPosition: 7 })]).toEqual([true, false])
    await made.bring(made.handOver)
    made.auditOwn('fast')
    await made.settle()
    expect(made.events.at(-1)).toMatchObject({ kind: 'audited', between: null })
    made.auditOwn('reference', 'fast')
    await made.settle()
    expect(made.events.at(-1)).toMatchObject({ kind: 'audited', between: 0 })
    expect(engine.orders.map(({ arithmetic }) => arithmetic)).toEqual(['fast', 'reference'])
    expect(engine.orders[0]?.order).toMatchObject({ type: 'audit', modelId: MODEL, memoryBytesMax: 5_000, inputEnd: ROWS, outputFirst: 2 })
    // No peer was told anything but the stage.
    expect(made.told).toHaveLength(1)
  })

  it('that ends without a word is lost, and another is asked', async () => {
    const engine = engineThat({})
    const made = await world({ own: engine.own })
    await made.bring(made.handOver)
    made.auditOwn('fast')
    await made.settle()
    expect(made.events.map(({ kind }) => kind)).toEqual(['answered', 'auditor-lost'])
    const none = await world()
    await none.bring(none.handOver)
    none.auditOwn('fast')
    expect(none.events.map(({ kind }) => kind)).toEqual(['answered', 'auditor-lost'])
    expect(none.audits.hasOwnEngine(request)).toBe(false)
  })
})
