/** A pairing code, shown on demand, with the time for which it works. */

import { Button, Group, Text } from '@mantine/core'
import { useInterval } from '@mantine/hooks'
import { useState } from 'react'
import { ErrorNote } from '../errorNote.tsx'
import { useServices } from '../runtimeContext.ts'
import { useCall } from '../useCall.ts'
import styles from './devices.module.css'

export function PairingCode() {
  const { runtime } = useServices()
  const call = useCall()
  const [shown, setShown] = useState<{ readonly code: string; readonly seconds: number } | null>(null)
  const show = () =>
    call.run(async () => {
      const { code, lifeMs } = await runtime.account.pairingCode()
      setShown({ code, seconds: Math.floor(lifeMs / 1_000) })
    })
  const isAlive = shown !== null && shown.seconds > 0
  return (
    <>
      <Group justify="space-between" gap="sm">
        <Text size="sm" flex={1} miw={240} maw="62ch">
          {isAlive
            ? 'Type it on the other device, under “Join the account of another device”. It works once. Show it to nobody else: who types it has this account.'
            : 'Shows a code here, to be typed on the other device within five minutes.'}
        </Text>
        <Button variant="default" onClick={show} disabled={call.isRunning} data-testid="pairing-show">
          {call.isRunning ? 'Asking for a code …' : shown === null ? 'Show a code' : 'Show another code'}
        </Button>
      </Group>
      {isAlive && <LivingCode code={shown.code} seconds={shown.seconds} onSecond={(seconds) => setShown({ ...shown, seconds })} />}
      {shown?.seconds === 0 && (
        <Text size="sm" role="status">
          The code has expired.
        </Text>
      )}
      {call.error !== null && <ErrorNote title="There is no code" error={call.error} />}
    </>
  )
}

interface LivingCodeProps {
  readonly code: string
  readonly seconds: number
  readonly onSecond: (left: number) => void
}

function LivingCode({ code, seconds, onSecond }: LivingCodeProps) {
  useInterval(() => onSecond(Math.max(0, seconds - 1)), 1_000, { autoInvoke: true })
  return (
    <div className={styles.code}>
      <Text span className={styles.characters ?? ''} data-testid="pairing-code">
        {code}
      </Text>
      <Text span size="sm" c="dimmed">
        works for {Math.floor(seconds / 60)}:{String(seconds % 60).padStart(2, '0')} more
      </Text>
    </div>
  )
}
