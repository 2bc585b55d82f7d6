/** What this browser keeps of the models, and the button that deletes it. */

import { Button, Group, Stack, Text, Title } from '@mantine/core'
import { useState } from 'react'
import { type ErrorBody, toErrorBody } from '../../shared/index.ts'
import { ErrorNote } from '../errorNote.tsx'
import { formatBytes } from '../format.ts'
import { usePeer, useServices } from '../runtimeContext.ts'

type Deletion = { readonly kind: 'idle' } | { readonly kind: 'running' } | { readonly kind: 'failed'; readonly error: ErrorBody }

export function StoragePanel() {
  const { runtime } = useServices()
  const storage = usePeer((state) => state.storage)
  const [deletion, setDeletion] = useState<Deletion>({ kind: 'idle' })
  const remove = async () => {
    setDeletion({ kind: 'running' })
    try {
      await runtime.deleteStorage()
      setDeletion({ kind: 'idle' })
    } catch (error) {
      setDeletion({ kind: 'failed', error: toErrorBody(error) })
    }
  }
  if (storage === null) return null
  return (
    <Stack component="section" gap="sm" aria-labelledby="storage-title">
      <Title order={2} id="storage-title">
        Kept in this browser
      </Title>
      <Group justify="space-between" gap="md">
        <Text role="status">
          {storage.keptBytes === 0
            ? 'Nothing is kept.'
            : `${formatBytes(storage.keptBytes)} of model weights, so that the next start is quick.`}
          {storage.quotaBytes !== null && ` The browser allows ${formatBytes(storage.quotaBytes)}.`}
        </Text>
        <Button
          variant="default"
          disabled={storage.keptBytes === 0 || deletion.kind === 'running'}
          onClick={remove}
          data-testid="delete-storage"
        >
          {deletion.kind === 'running' ? 'Deleting …' : 'Delete it'}
        </Button>
      </Group>
      {deletion.kind === 'failed' && <ErrorNote title="It could not be deleted" error={deletion.error} />}
      <TuningReset />
    </Stack>
  )
}

/** The choice of kernels for this GPU is kept too: after an update of the driver it is worth another look. */
function TuningReset() {
  const { runtime } = useServices()
  const [state, setState] = useState<Deletion | { readonly kind: 'done' }>({ kind: 'idle' })
  const reset = async () => {
    setState({ kind: 'running' })
    try {
      await runtime.resetTuning()
      setState({ kind: 'done' })
    } catch (error) {
      setState({ kind: 'failed', error: toErrorBody(error) })
    }
  }
  return (
    <>
      <Group justify="space-between" gap="md">
        <Text role="status">
          {state.kind === 'done'
            ? 'The next start times the kernels again.'
            : 'Which form of each kernel is fastest on this GPU, timed once at the first start.'}
        </Text>
        <Button variant="default" disabled={state.kind === 'running'} onClick={reset} data-testid="reset-tuning">
          Time again
        </Button>
      </Group>
      {state.kind === 'failed' && <ErrorNote title="It could not be forgotten" error={state.error} />}
    </>
  )
}
