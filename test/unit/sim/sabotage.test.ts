/**
 * The simulation notices broken code: each of these changes one rule of a stage, the driver or the coordinator as a defect would, and some
 * invariant breaks. Each was once a defect that went unnoticed, or one that a stranger planted.
 */

import { afterEach, describe, expect, it, vi } from 'vitest'
import { CoordinatorCore, type CoreEffect, type CoreOptions } from '../../../src/coordinator/core/index.ts'
import { OpenSessions } from '../../../src/coordinator/core/sessions.ts'
import type { ReceiptParty } from '../../../src/protocol/index.ts'
import { ReceiptBook, RowBudget } from '../../../src/receipts/index.ts'
import { DriverReceipts } from '../../../src/session/driverReceipts.ts'
import { LapLedger } from '../../../src/session/lapLedger.ts'
import { LinkRouter } from '../../../src/session/linkRouter.ts'
import type { PeerId } from '../../../src/shared/index.ts'
import { shortRun } from '../../../src/sim/presets.ts'
import { type SimulationOptions, simulate } from '../../../src/sim/simulate.ts'
import { VolunteerTab } from '../../../src/sim/volunteerTab.ts'
import { ActivationLog } from '../../../src/stage/activationLog.ts'
import { Outbox } from '../../../src/stage/outbox.ts'
import { PeerLink } from '../../../src/stage/peerLinks.ts'
import { SessionReceipts } from '../../../src/stage/sessionReceipts.ts'
import { SessionTimers } from '../../../src/stage/sessionTimers.ts'

const drain = (callback: () => void) => {
  void Promise.resolve().then(() => process.nextTick(callback))
}

/** Runs in which a sabotage must be noticed. */
const SEEDS = 36
const FIRST_SEED = 100
/** Lines of one speed: seeds found with them. */
const ALIKE = { lines: { slowShare: 0, home: { least: 12_500, most: 12_500 } } }

interface Conditions {
  readonly changes?: Partial<SimulationOptions>
  readonly scenario?: string
  readonly firstSeed?: number
  readonly makeCore?: (options: CoreOptions) => CoordinatorCore
}

/** What breaks first with the sabotage in a run that breaks nothing without it. Receipts, which notice most, are for tests of their own. */
async function noticed(spoil: () => void, { changes = {}, scenario, firstSeed = FIRST_SEED, makeCore }: Conditions = {}) {
  for (let seed = firstSeed; seed < firstSeed + SEEDS; seed++) {
    const options = { ...shortRun({ seed, scenario: scenario ?? null, stagesMin: 2, drain }), receipts: false, ...changes }
    spoil()
    const { broken } = await simulate(makeCore === undefined ? options : { ...options, sabotage: { makeCore } })
    vi.restoreAllMocks()
    if (broken !== null && (await simulate(options)).broken === null) return broken.kind
  }
  return null
}

/** Puts `change` around a method: it gets the original, bound to its object. */
function sabotage<Owner extends object, Name extends keyof Owner>(
  owner: { readonly prototype: Owner },
  name: Name,
  change: (original: Owner[Name], self: Owner) => Owner[Name],
): void {
  const original = owner.prototype[name] as (...args: unknown[]) => unknown
  const changed = function (this: Owner, ...args: unknown[]): unknown {
    return (change(original.bind(this) as Owner[Name], this) as (...args: unknown[]) => unknown)(...args)
  }
  vi.spyOn(owner.prototype as Record<string, () => unknown>, name as string).mockImplementation(changed as () => unknown)
}

/** Answers pings for everybody whose socket stands. */
class DeafCore extends CoordinatorCore {
  readonly #sequences = new Map<PeerId, number>()

  override handle(...[event, nowMs]: Parameters<CoordinatorCore['handle']>): CoreEffect[] {
    if (event.kind === 'disconnected') this.#sequences.delete(event.peerId)
    const effects = super.handle(event, nowMs)
    for (const effect of effects)
      if (effect.kind === 'send' && effect.message.type === 'ping') this.#sequences.set(effect.peerId, effect.message.sequence)
    if (event.kind !== 'tick') return effects
    const pongs = [...this.#sequences].flatMap(([peerId, sequence]) =>
      super.handle({ kind: 'message', peerId, message: { type: 'pong', sequence, sessions: 0, kvPositionsFree: 128 } }, nowMs),
    )
    return [...effects, ...pongs]
  }
}

describe('an invariant breaks', { timeout: 600_000 }, () => {
  afterEach(() => {
    vi.restoreAllMocks()
  })

  it('when a stage skips a position of what it sends again', async () => {
    // The row is never sent: the next stage waits for it, or says that a position is missing, after each repair again.
    const kind = await noticed(() => {
      sabotage(Outbox, 'opened', (opened) => (frame, epoch) => {
        const { nextPosition } = frame
        opened({ ...frame, nextPosition: nextPosition + (nextPosition > 0 ? 1 : 0) }, epoch)
      })
    })
    expect(['unjustified-repair', 'accused', 'unjustified-error']).toContain(kind)
  })

  it('when the driver skips a row of what it sends again', async () => {
    const kind = await noticed(() => {
      const sent = new WeakMap<LapLedger, number>()
      sabotage(LapLedger, 'lapFrom', (lapFrom, ledger) => (firstPosition, rowsMax) => {
        const lap = lapFrom(firstPosition, rowsMax)
        const isAgain = firstPosition < (sent.get(ledger) ?? 0) && lap.ids.length > 1
        sent.set(ledger, Math.max(sent.get(ledger) ?? 0, firstPosition + lap.ids.length))
        const resultCount = Math.min(lap.resultCount, lap.ids.length - 1)
        return isAgain ? { ...lap, firstPosition: firstPosition + 1, ids: lap.ids.subarray(1), resultCount } : lap
      })
    })
    expect(kind).toBe('accused')
  })

  it('when a stage sends a prompt again as decode rows', async () => {
    const kind = await noticed(() => {
      sabotage(ActivationLog, 'append', (append) => (row) => append({ ...row, kind: 'decode' }))
    })
    expect(kind).toBe('wrong-answer')
  })

  it('when the driver sends a prompt again as decode rows', async () => {
    const kind = await noticed(() => {
      const sent = new WeakMap<LapLedger, number>()
      sabotage(LapLedger, 'lapFrom', (lapFrom, ledger) => (firstPosition, rowsMax) => {
        const lap = lapFrom(firstPosition, rowsMax)
        const isAgain = firstPosition < (sent.get(ledger) ?? 0)
        sent.set(ledger, Math.max(sent.get(ledger) ?? 0, firstPosition + lap.ids.length))
        return isAgain ? { ...lap, kind: 'decode' } : lap
      })
    })
    expect(kind).toBe('wrong-answer')
  })

  it('when a log has no bound', async () => {
    const kind = await noticed(() => {
      sabotage(RowBudget, 'take', (take, budget) => (bytes) => {
        Object.assign(budget, { bytesMax: Number.POSITIVE_INFINITY })
        return take(bytes)
      })
    })
    expect(kind).toBe('memory')
  })

  it('when a log gives nothing back', async () => {
    const kind = await noticed(() => {
      sabotage(RowBudget, 'give', () => () => undefined)
    })
    expect(kind).toBe('left-behind')
  })

  it('when the coordinator keeps sessions that have ended', async () => {
    // Nor by what their stages report: who is told nothing learns of the end of a session from them.
    const kind = await noticed(() => {
      sabotage(OpenSessions, 'end', () => () => undefined)
      sabotage(OpenSessions, 'expire', () => () => [])
    })
    expect(kind).toBe('left-behind')
  })

  it('when results that are sent again are left out', async () => {
    const kind = await noticed(() => {
      sabotage(
        ActivationLog,
        'rows',
        (rows) => (first, end) => rows(first, end).map((row) => ({ ...row, wanted: row.wanted && end - first === 1 })),
      )
    })
    expect(kind).toBe('accused')
  })

  it('when a truncation is not passed on', async () => {
    const kind = await noticed(() => {
      sabotage(PeerLink, 'send', (send) => (frame, priority) => (frame.type === 'truncate' ? 0 : send(frame, priority)))
    })
    expect(kind).toBe('accused')
  })

  it('when a byte differs in what is sent again', async () => {
    const kind = await noticed(() => {
      const spoilt = (bytes: Uint8Array) => bytes.map((byte, index) => (index === 5 ? byte ^ 1 : byte))
      sabotage(ActivationLog, 'rows', (rows) => (first, end) => rows(first, end).map((row) => ({ ...row, bytes: spoilt(row.bytes) })))
    })
    expect(kind).toBe('wrong-answer')
  })

  it('when a stage does not free what nobody repairs within 30 s', async () => {
    const kind = await noticed(
      () => {
        sabotage(SessionTimers, 'waitAnew', () => () => undefined)
      },
      { changes: { faults: 120, ...ALIKE }, scenario: 'uniform', firstSeed: 130 },
    )
    expect(['left-behind', 'unjustified-error']).toContain(kind)
  })

  it('when the driver does not tell which positions count after truncations that were missed', async () => {
    // A truncation has to be on its way over a link that breaks: with many faults that happens.
    const kind = await noticed(
      () => {
        sabotage(LinkRouter, 'attach', (attach) => async (peerId, sessionId, handlers) => {
          const route = await attach(peerId, sessionId, handlers)
          return {
            ...route,
            send: (frame, priority) => route.send(frame.type === 'open' ? { ...frame, length: 128 } : frame, priority),
          }
        })
      },
      { changes: { faults: 120, ...ALIKE }, scenario: 'uniform', firstSeed: 177 },
    )
    expect(['wrong-answer', 'accused']).toContain(kind)
  })

  it('[V12] when a stage signs other rows than it sent', async () => {
    const kind = await noticed(
      () => {
        sabotage(SessionReceipts, 'sent', (sent) => (firstPosition, rows, keptLength) => {
          sent(
            firstPosition,
            rows.map((row) => ({ ...row, bytes: row.bytes.slice(1) })),
            keptLength,
          )
        })
      },
      { changes: { receipts: true } },
    )
    expect(kind).toBe('receipts')
  })

  it('[V13] when a stage does not say what it computed', async () => {
    const kind = await noticed(
      () => {
        sabotage(SessionReceipts, 'computed', () => () => undefined)
      },
      { changes: { receipts: true } },
    )
    expect(kind).toBe('receipts')
  })

  it('[V8] when the driver does not count truncations', async () => {
    const kind = await noticed(
      () => {
        sabotage(DriverReceipts, 'truncate', () => () => undefined)
      },
      { changes: { receipts: true } },
    )
    expect(kind).toBe('receipts')
  })

  it('[V14] when the driver calls rows new that it sends again', async () => {
    const kind = await noticed(
      () => {
        sabotage(ReceiptBook, 'begin', (begin) => (setup) => {
          const forgetful = (party: ReceiptParty) =>
            party.kind === 'driver' ? { ...party, resent: { prompt: 0, decode: 0, results: 0 } } : party
          return begin({ ...setup, party: (...counts) => forgetful(setup.party(...counts)) })
        })
      },
      { changes: { receipts: true } },
    )
    expect(kind).toBe('receipts')
  })

  it('when admission grants KV that is not free', async () => {
    const kind = await noticed(() => {
      sabotage(OpenSessions, 'reserved', () => () => new Map())
      sabotage(VolunteerTab, 'load', (load) => () => ({ ...load(), kvPositionsFree: 1_000_000 }))
    })
    expect(kind).toBe('memory')
  })

  it('when who is gone without a word stays choosable', async () => {
    const kind = await noticed(() => undefined, { makeCore: (options) => new DeafCore(options) })
    expect(kind).toBe('bad-grant')
  })
})
