/** Several devices with one account, and an account that comes back: codes, the recovery phrase, and what becomes of this browser's own account. */

import { Paper, Stack, Text, Title } from '@mantine/core'
import type { ReactNode } from 'react'
import { usePeer } from '../runtimeContext.ts'
import { DeviceList } from './deviceList.tsx'
import { JoinForm } from './joinForm.tsx'
import { PairingCode } from './pairingCode.tsx'
import { RecoveryPhrase } from './recoveryPhrase.tsx'
import { RestoreForm } from './restoreForm.tsx'

export function DevicesPanel() {
  const keeping = usePeer((state) => state.accountKeeping)
  const hasEarned = usePeer(({ account }) => account !== null && account.earned + account.escrow > 0n)
  // A tab that keeps nothing would take an account with it when it is closed.
  if (keeping === null || !keeping.isKept) return null
  return (
    <Stack component="section" gap="md" aria-labelledby="devices-title">
      <Title order={2} id="devices-title">
        Your devices
      </Title>
      <Text maw="66ch">
        Several browsers can have one account: each keeps a key of its own, all earn and spend together, and any of them can remove another.
      </Text>
      <DeviceList />
      <Block title="Use this account on another device">
        <PairingCode />
      </Block>
      <Block title="Join the account of another device">
        <JoinForm />
      </Block>
      <Block title="Bring an account back by its recovery phrase">
        <RestoreForm />
      </Block>
      {keeping.unsavedPhrase !== null && !hasEarned && (
        <Block title="The recovery phrase of this account">
          <RecoveryPhrase phrase={keeping.unsavedPhrase} lead="You may save it now, before anything is earned." />
        </Block>
      )}
    </Stack>
  )
}

function Block({ title, children }: { readonly title: string; readonly children: ReactNode }) {
  return (
    <Paper withBorder p="md">
      <Stack gap="sm">
        <Title order={3} size="h5">
          {title}
        </Title>
        {children}
      </Stack>
    </Paper>
  )
}
