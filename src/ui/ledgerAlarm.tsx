/** Says on every page when the coordinator tells different people of different ledgers, with the two heads that prove it. */

import { Button } from '@mantine/core'
import { saveFile } from './browser.ts'
import { ErrorNote } from './errorNote.tsx'
import { usePeer } from './runtimeContext.ts'

export function LedgerAlarm() {
  const alarm = usePeer((state) => state.ledgerAlarm)
  if (alarm === null) return null
  const { what, seen, head } = alarm
  const message = `${what} Keep both heads and show them to others: they prove it. If the coordinator was set up anew, this is to be expected.`
  return (
    <ErrorNote title="There is more than one ledger" error={{ reason: 'forked', message }}>
      <Button
        variant="default"
        size="compact-sm"
        onClick={() => saveFile('tabswarm-ledger-heads.json', 'application/json', `${JSON.stringify({ seen, head }, null, 2)}\n`)}
        data-testid="ledger-alarm"
      >
        Download both heads
      </Button>
    </ErrorNote>
  )
}
