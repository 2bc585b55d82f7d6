/** Makes an API key: a name, limits where some are wanted, and the key itself, shown once. */

import { Button, Checkbox, Code, Group, NumberInput, Paper, Stack, Text, TextInput, Title } from '@mantine/core'
import { useState } from 'react'
import type { ApiKeyState } from '../../peer/index.ts'
import { ACCOUNT_NAME_CHARACTERS_MAX, type ModelId, REQUESTS_A_MINUTE_MAX } from '../../shared/index.ts'
import { ActionForm } from '../actionForm.tsx'
import { copyText } from '../browser.ts'
import { CreditsInput, typedCredits } from '../creditsInput.tsx'
import { ErrorNote } from '../errorNote.tsx'
import { usePeer, useServices } from '../runtimeContext.ts'
import { useCall } from '../useCall.ts'

export function NewKeyForm({ onCreated }: { readonly onCreated: (key: ApiKeyState) => void }) {
  const { runtime } = useServices()
  const call = useCall()
  const [name, setName] = useState('')
  const [budget, setBudget] = useState('')
  const [rate, setRate] = useState<number | null>(null)
  const [models, setModels] = useState<readonly ModelId[]>([])
  const [text, setText] = useState<string | null>(null)
  const amount = typedCredits(budget)
  const isReady = name.trim() !== '' && amount !== 'wrong' && !call.isRunning
  const create = () => {
    if (!isReady) return
    call.run(async () => {
      const scope = { models: models.length === 0 ? null : models, budget: amount === 'empty' ? null : amount, requestsAMinute: rate }
      const made = await runtime.account.createApiKey(name.trim(), scope)
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
          <Title order={3} size="h5">
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
              description="Empty: as much as the account has"
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
          <ModelChoice models={models} onChange={setModels} />
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

interface ModelChoiceProps {
  readonly models: readonly ModelId[]
  readonly onChange: (models: readonly ModelId[]) => void
}

/** Of what is served here; nothing chosen stands for all, also those to come. */
function ModelChoice({ models, onChange }: ModelChoiceProps) {
  const network = usePeer((state) => state.network)
  if (network === null) return null
  return (
    <Checkbox.Group
      label="Only these models"
      description="None chosen: all"
      value={[...models]}
      onChange={(chosen) => onChange(network.swarms.map(({ modelId }) => modelId).filter((modelId) => chosen.includes(modelId)))}
    >
      <Group gap="md" mt={6}>
        {network.swarms.map(({ modelId, name }) => (
          <Checkbox key={modelId} value={modelId} label={name} />
        ))}
      </Group>
    </Checkbox.Group>
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
