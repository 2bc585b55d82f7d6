/**
 * Two quiet words about the account's key: that this browser keeps nothing, or that the recovery phrase is not saved yet. The second comes with
 * the first earnings and stays until the phrase is saved; neither is in anybody's way.
 */

import { Paper, Text } from '@mantine/core'
import { usePeer } from '../runtimeContext.ts'
import { RecoveryPhrase } from './recoveryPhrase.tsx'

export function KeepingNotes() {
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
