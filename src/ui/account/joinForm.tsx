/** Another device's code, typed: this browser joins its account. */

import { Button, Group, Text, TextInput } from '@mantine/core'
import { useState } from 'react'
import { ActionForm } from '../actionForm.tsx'
import { ErrorNote } from '../errorNote.tsx'
import { usePeer, useServices } from '../runtimeContext.ts'
import { useCall } from '../useCall.ts'
import { describeMoving } from './movingWords.ts'

/** Twelve characters, two dashes, and spaces as people type them. */
const CODE_CHARACTERS_MAX = 32

export function JoinForm() {
  const { runtime } = useServices()
  const account = usePeer((state) => state.account)
  const call = useCall()
  const [code, setCode] = useState('')
  const [hasJoined, setJoined] = useState(false)
  const join = () =>
    call.run(async () => {
      setJoined(false)
      await runtime.account.join(code.trim())
      setCode('')
      setJoined(true)
    })
  const isTyped = code.trim() !== ''
  return (
    <ActionForm onSubmit={() => isTyped && join()}>
      <Group gap="sm" align="end">
        <TextInput
          label="Code that the other device shows"
          placeholder="K7QF-2M9X-TB4C"
          value={code}
          onChange={(event) => setCode(event.currentTarget.value)}
          maxLength={CODE_CHARACTERS_MAX}
          autoComplete="off"
          autoCapitalize="characters"
          spellCheck={false}
          data-testid="join-code"
        />
        <Button type="submit" variant="default" disabled={!isTyped || call.isRunning} data-testid="join">
          {call.isRunning ? 'Joining …' : 'Join it'}
        </Button>
      </Group>
      {isTyped && (
        <Text size="sm" c="dimmed" mt="sm" maw="66ch">
          This browser has that account then, in all its tabs. {describeMoving(account).join(' ')}
        </Text>
      )}
      {hasJoined && (
        <Text size="sm" mt="sm" role="status" data-testid="joined">
          This browser has that account now.
        </Text>
      )}
      {call.error !== null && <ErrorNote title="It could not join" error={call.error} />}
    </ActionForm>
  )
}
