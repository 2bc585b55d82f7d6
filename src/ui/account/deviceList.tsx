/** The devices of this account: what each is called, since when it has the account, when it was seen; another one can be removed. */

import { Badge, Button, Group, Paper, Stack, Text, TextInput } from '@mantine/core'
import { useCallback, useState } from 'react'
import type { DeviceState } from '../../peer/index.ts'
import { ACCOUNT_NAME_CHARACTERS_MAX } from '../../shared/index.ts'
import { ActionForm } from '../actionForm.tsx'
import { ErrorNote } from '../errorNote.tsx'
import { usePeer, useServices } from '../runtimeContext.ts'
import { useCall } from '../useCall.ts'
import { useRead } from '../useRead.ts'
import { describeDevice, deviceName } from './deviceWords.ts'

export function DeviceList() {
  const { runtime } = useServices()
  const accountId = usePeer((state) => state.account?.accountId)
  const read = useCallback(() => runtime.account.devices(), [runtime])
  const { state, again, change } = useRead(read, accountId)
  if (accountId === undefined || state.kind === 'reading') return <Text c="dimmed">Asking the coordinator for the devices …</Text>
  if (state.kind === 'failed')
    return (
      <ErrorNote title="The devices could not be read" error={state.error}>
        <Button variant="default" size="compact-sm" onClick={again}>
          Try again
        </Button>
      </ErrorNote>
    )
  return state.value.map((device) => (
    <DeviceRow
      key={device.publicKey}
      device={device}
      onNamed={(name) => change((all) => all.map((one) => (one.publicKey === device.publicKey ? { ...one, name } : one)))}
      onRemoved={() => change((all) => all.filter(({ publicKey }) => publicKey !== device.publicKey))}
    />
  ))
}

interface DeviceRowProps {
  readonly device: DeviceState
  readonly onNamed: (name: string) => void
  readonly onRemoved: () => void
}

function DeviceRow({ device, onNamed, onRemoved }: DeviceRowProps) {
  const [opened, setOpened] = useState<'name' | 'remove' | null>(null)
  return (
    <Paper withBorder p="md" data-testid="device" data-own={device.isOwn}>
      <Group justify="space-between" align="start" gap="sm">
        <Stack gap={2} flex={1} miw={220}>
          <Group gap="xs">
            <Text fw={600} style={{ overflowWrap: 'anywhere' }}>
              {deviceName(device)}
            </Text>
            {device.isOwn && (
              <Badge variant="default" tt="none">
                this browser
              </Badge>
            )}
          </Group>
          <Text size="sm" c="dimmed">
            {describeDevice(device)}
          </Text>
        </Stack>
        {opened === null && (
          <Group gap="xs">
            <Button variant="default" size="compact-sm" onClick={() => setOpened('name')} data-testid="name-device">
              {device.name === '' ? 'Name it' : 'Rename'}
            </Button>
            {!device.isOwn && (
              <Button variant="default" size="compact-sm" onClick={() => setOpened('remove')} data-testid="remove-device">
                Remove
              </Button>
            )}
          </Group>
        )}
      </Group>
      {opened === 'name' && (
        <NameForm
          device={device}
          onLeft={() => setOpened(null)}
          onNamed={(name) => {
            setOpened(null)
            onNamed(name)
          }}
        />
      )}
      {opened === 'remove' && <Removal device={device} onLeft={() => setOpened(null)} onRemoved={onRemoved} />}
    </Paper>
  )
}

interface NameFormProps extends Pick<DeviceRowProps, 'device' | 'onNamed'> {
  readonly onLeft: () => void
}

function NameForm({ device, onNamed, onLeft }: NameFormProps) {
  const { runtime } = useServices()
  const call = useCall()
  const [name, setName] = useState(device.name)
  const save = () =>
    call.run(async () => {
      await runtime.account.nameDevice(device.publicKey, name.trim())
      onNamed(name.trim())
    })
  return (
    <ActionForm onSubmit={save}>
      <Group gap="sm" align="end" mt="sm">
        <TextInput
          label="What you call this device"
          description="Empty: no name"
          value={name}
          onChange={(event) => setName(event.currentTarget.value)}
          maxLength={ACCOUNT_NAME_CHARACTERS_MAX}
          autoComplete="off"
          data-testid="device-name"
        />
        <Button type="submit" variant="default" disabled={call.isRunning} data-testid="save-device-name">
          {call.isRunning ? 'Saving …' : 'Save'}
        </Button>
        <Button variant="default" onClick={onLeft} disabled={call.isRunning}>
          Leave it
        </Button>
      </Group>
      {call.error !== null && <ErrorNote title="Its name is as before" error={call.error} />}
    </ActionForm>
  )
}

interface RemovalProps extends Pick<DeviceRowProps, 'device' | 'onRemoved'> {
  readonly onLeft: () => void
}

function Removal({ device, onRemoved, onLeft }: RemovalProps) {
  const { runtime } = useServices()
  const call = useCall()
  const remove = () =>
    call.run(async () => {
      await runtime.account.removeDevice(device.publicKey)
      onRemoved()
    })
  return (
    <Stack gap="sm" mt="sm">
      <Text size="sm" maw="66ch">
        It loses this account at once, in all its tabs, and begins an empty one; it is told so. What it has asked for runs to its end. Its
        recovery words no longer open this account: save those of another device.
      </Text>
      <Group gap="sm">
        <Button size="compact-sm" onClick={remove} disabled={call.isRunning} data-testid="remove-device-really">
          {call.isRunning ? 'Removing …' : 'Remove it'}
        </Button>
        <Button variant="default" size="compact-sm" onClick={onLeft} disabled={call.isRunning}>
          Keep it
        </Button>
      </Group>
      {call.error !== null && <ErrorNote title="It could not be removed" error={call.error} />}
    </Stack>
  )
}
