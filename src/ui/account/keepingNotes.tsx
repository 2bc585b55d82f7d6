/**
 * Quiet words about the account's key: that this browser was removed from the account it had, that it keeps nothing, or that the recovery phrase is not saved
 * yet. The last comes with the first earnings and stays until the phrase is saved; none is in anybody's way.
 */

import { Button, Group, Paper, Text } from '@mantine/core'
import { ErrorNote } from '../errorNote.tsx'
import { formatDay } from '../format.ts'
import { usePeer, useServices } from '../runtimeContext.ts'
import { useCall } from '../useCall.ts'
import { RecoveryPhrase } from './recoveryPhrase.tsx'

export function KeepingNotes() {
  const removedAtMs = usePeer((state) => state.removedAtMs)
  return (
    <>
      {removedAtMs !== null && <RemovedNote removedAtMs={removedAtMs} />}
      <KeyNote />
    </>
  )
}

function RemovedNote({ removedAtMs }: { readonly removedAtMs: number }) {
  const { runtime } = useServices()
  const call = useCall()
  return (
    <Paper component="section" aria-label="This browser was removed" withBorder p="md" data-testid="device-removed">
      <Group justify="space-between" gap="sm">
        <Text size="sm" flex={1} miw={240} maw="62ch">
          <b>This browser was removed from the account that it had,</b> by another device, on {formatDay(removedAtMs)}. It has an empty
          account of its own since then. If that was a mistake, join the other again by a code that one of its devices shows.
        </Text>
        <Button
          variant="default"
          onClick={() => call.run(() => runtime.account.removalNoted())}
          disabled={call.isRunning}
          data-testid="removal-noted"
        >
          {call.isRunning ? 'Noting it …' : 'I know'}
        </Button>
      </Group>
      {call.error !== null && <ErrorNote title="It could not be noted" error={call.error} />}
    </Paper>
  )
}

function KeyNote() {
  const keeping = usePeer((state) => state.accountKeeping)
  const hasEarned = usePeer(({ account }) => account !== null && account.earned + account.escrow > 0n)
  if (keeping === null) return null
  if (!keeping.isKept) {
    return (
      <Paper withBorder p="md" data-testid="account-not-kept">
        <Text size="sm">
          This browser keeps nothing for this page, as private windows do. So this account is this tab’s alone, and ends with it: spend what
          it earns before you close the tab.
        </Text>
      </Paper>
    )
  }
  if (keeping.unsavedPhrase === null || !hasEarned) return null
  return (
    <Paper component="section" aria-label="Recovery phrase" withBorder p="md" data-testid="recovery-notice">
      <RecoveryPhrase phrase={keeping.unsavedPhrase} lead="You have earned credits; save your recovery phrase." />
    </Paper>
  )
}
