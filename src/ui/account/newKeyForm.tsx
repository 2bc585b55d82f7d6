/** Makes an API key: a name, limits where some are wanted, and the key itself, shown once. */

import { Button, Code, Group, NumberInput, Paper, Stack, Text, TextInput, Title } from '@mantine/core'
import { useState } from 'react'
import type { ApiKeyState } from '../../peer/index.ts'
import { ACCOUNT_NAME_CHARACTERS_MAX, REQUESTS_A_MINUTE_MAX } from '../../shared/index.ts'
import { ActionForm } from '../actionForm.tsx'
import { copyText } from '../browser.ts'
import { CreditsInput, typedCredits } from '../creditsInput.tsx'
import { ErrorNote } from '../errorNote.tsx'
import { useServices } from '../runtimeContext.ts'
import { useCall } from '../useCall.ts'
import { ALL_SCOPE, ScopeFields, typedScope } from './scopeFields.tsx'

interface NewKeyFormProps {
  /** Whose it is to be; null: of this account itself. */
  readonly teamId: string | null
  readonly onCreated: (key: ApiKeyState) => void
}

export function NewKeyForm({ teamId, onCreated }: NewKeyFormProps) {
  const { runtime } = useServices()
  const call = useCall()
  const [name, setName] = useState('')
  const [budget, setBudget] = useState('')
  const [rate, setRate] = useState<number | null>(null)
  const [scope, setScope] = useState(ALL_SCOPE)
  const [text, setText] = useState<string | null>(null)
  const amount = typedCredits(budget)
  const isReady = name.trim() !== '' && amount !== 'wrong' && !call.isRunning
  const create = () => {
    if (!isReady) return
    call.run(async () => {
      const limits = { ...typedScope(scope), budget: amount === 'empty' ? null : amount, requestsAMinute: rate }
      const made = await runtime.account.createApiKey(teamId, name.trim(), limits)
      setText(made.text)
      onCreated(made.key)
      setName('')
    })
  }
  if (text !== null) return <ShownKey text={text} onSaved={() => setText(null)} />
  return (
    <Paper withBorder p="md">
      <ActionForm onSubmit={create}>
        <Stack gap="sm">
          <Title order={teamId === null ? 3 : 4} size="h5">
            Make a key
          </Title>
          <TextInput
            label="What it is for"
            value={name}
            onChange={(event) => setName(event.currentTarget.value)}
            maxLength={ACCOUNT_NAME_CHARACTERS_MAX}
            maw={420}
            autoComplete="off"
            data-testid="key-name"
          />
          <Group gap="sm" align="start">
            <CreditsInput
              label="Credits that it may spend in all"
              description={`Empty: as much as the ${teamId === null ? 'account' : 'team'} has`}
              value={budget}
              onChange={setBudget}
              testId="key-budget"
            />
            <NumberInput
              label="Requests a minute"
              description="Empty: no limit"
              min={1}
              max={REQUESTS_A_MINUTE_MAX}
              allowDecimal={false}
              value={rate ?? ''}
              onChange={(value) => setRate(typeof value === 'number' && value >= 1 && value <= REQUESTS_A_MINUTE_MAX ? value : null)}
              data-testid="key-rate"
            />
          </Group>
          <ScopeFields scope={scope} onChange={setScope} />
          <Group>
            <Button type="submit" variant="default" disabled={!isReady} data-testid="create-key">
              {call.isRunning ? 'Making it …' : 'Make the key'}
            </Button>
          </Group>
          {call.error !== null && <ErrorNote title="There is no key" error={call.error} />}
        </Stack>
      </ActionForm>
    </Paper>
  )
}

function ShownKey({ text, onSaved }: { readonly text: string; readonly onSaved: () => void }) {
  const [copied, setCopied] = useState<'no' | 'yes' | 'refused'>('no')
  return (
    <Paper withBorder p="md">
      <Stack gap="sm">
        <Text size="sm" role="status">
          <b>Keep the key now.</b> It is not shown again, and nobody can find it out.
        </Text>
        <Code block style={{ whiteSpace: 'pre-wrap', overflowWrap: 'anywhere' }} data-testid="key-text">
          {text}
        </Code>
        <Group gap="sm">
          <Button variant="default" onClick={async () => setCopied((await copyText(text)) ? 'yes' : 'refused')}>
            {copied === 'no' ? 'Copy' : copied === 'yes' ? 'Copied' : 'The browser refused; select the key'}
          </Button>
          <Button variant="default" onClick={onSaved} data-testid="key-saved">
            I have it
          </Button>
        </Group>
      </Stack>
    </Paper>
  )
}
