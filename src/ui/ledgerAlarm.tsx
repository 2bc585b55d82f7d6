/** Says on every page when the coordinator tells different people of different ledgers, with the two heads that prove it. */

import { Button, Group, Text } from '@mantine/core'
import { saveFile } from './browser.ts'
import { RedNote } from './redNote.tsx'
import { usePeer } from './runtimeContext.ts'

export function LedgerAlarm() {
  const alarm = usePeer((state) => state.ledgerAlarm)
  if (alarm === null) return null
  const { what, seen, head } = alarm
  return (
    <RedNote title="There is more than one ledger">
      <Text size="sm">
        {what} Keep both heads and show them to others: they prove it. If the coordinator was set up anew, this is to be expected.
      </Text>
      <Group gap="md" mt="sm">
        <Button
          variant="default"
          size="compact-sm"
          onClick={() => saveFile('tabswarm-ledger-heads.json', 'application/json', `${JSON.stringify({ seen, head }, null, 2)}\n`)}
          data-testid="ledger-alarm"
        >
          Download both heads
        </Button>
      </Group>
    </RedNote>
  )
}
