/** The twelve words, typed: first the account is looked for, then its owner is told what becomes of this browser's own and asked. */

import { Button, Group, Stack, Text, Textarea } from '@mantine/core'
import { useState } from 'react'
import type { FoundByPhrase } from '../../peer/index.ts'
import { ActionForm } from '../actionForm.tsx'
import { ErrorNote } from '../errorNote.tsx'
import { usePeer, useServices } from '../runtimeContext.ts'
import { useCall } from '../useCall.ts'
import { describeMoving } from './movingWords.ts'

/** Twelve words of at most eight letters, with room for spaces. */
const PHRASE_CHARACTERS_MAX = 200

export function RestoreForm() {
  const { runtime } = useServices()
  const call = useCall()
  const [phrase, setPhrase] = useState('')
  const [found, setFound] = useState<FoundByPhrase | 'taken' | null>(null)
  const find = () =>
    call.run(async () => {
      setFound(await runtime.account.findByPhrase(phrase))
    })
  const isTyped = phrase.trim() !== ''
  if (found !== null && found !== 'taken' && found.kind === 'other') {
    const end = (result: 'taken' | null) => {
      setPhrase('')
      setFound(result)
    }
    return <Confirmation take={found.take} onTaken={() => end('taken')} onLeft={() => end(null)} />
  }
  return (
    <ActionForm onSubmit={() => isTyped && find()}>
      <Stack gap="sm" align="start">
        <Textarea
          label="The twelve words, in their order"
          description="They are used in this browser alone, and kept nowhere."
          w="100%"
          maw={560}
          autosize
          minRows={2}
          value={phrase}
          onChange={(event) => {
            setPhrase(event.currentTarget.value)
            setFound(null)
          }}
          maxLength={PHRASE_CHARACTERS_MAX}
          autoComplete="off"
          autoCapitalize="none"
          spellCheck={false}
          data-testid="restore-phrase"
        />
        <Button type="submit" variant="default" disabled={!isTyped || call.isRunning} data-testid="restore-find">
          {call.isRunning ? 'Looking for it …' : 'Find the account'}
        </Button>
        {found !== null && (
          <Text size="sm" role="status" data-testid="restored">
            {found === 'taken' ? 'This browser has that account now, in all its tabs.' : 'This browser has that account already.'}
          </Text>
        )}
        {call.error !== null && <ErrorNote title="There is no account to bring back" error={call.error} />}
      </Stack>
    </ActionForm>
  )
}

interface ConfirmationProps {
  readonly take: () => Promise<void>
  readonly onTaken: () => void
  readonly onLeft: () => void
}

function Confirmation({ take, onTaken, onLeft }: ConfirmationProps) {
  const account = usePeer((state) => state.account)
  const call = useCall()
  const use = () =>
    call.run(async () => {
      await take()
      onTaken()
    })
  return (
    <Stack gap="sm" data-testid="restore-found">
      <Text size="sm" maw="66ch" role="status">
        <b>The words open an account.</b> It takes the place of the one that this browser has now, in all its tabs.{' '}
        {describeMoving(account).join(' ')}
      </Text>
      <Group gap="sm">
        <Button onClick={use} disabled={call.isRunning} data-testid="restore-take">
          {call.isRunning ? 'Bringing it back …' : 'Use it in this browser'}
        </Button>
        <Button variant="default" onClick={onLeft} disabled={call.isRunning} data-testid="restore-leave">
          Leave it as it is
        </Button>
      </Group>
      {call.error !== null && <ErrorNote title="It could not be brought back" error={call.error} />}
    </Stack>
  )
}
