/** How the model chooses its words: the button of the few options that people ask for. */

import { ActionIcon, Popover, Text } from '@mantine/core'
import { lazy, Suspense } from 'react'
import { TuneIcon } from '../icons.tsx'

const SamplingFields = lazy(async () => ({ default: (await import('./samplingFields.tsx')).SamplingFields }))

export function SamplingPopover() {
  return (
    <Popover width={300} position="bottom-end" shadow="md" trapFocus returnFocus withRoles>
      <Popover.Target>
        <ActionIcon variant="subtle" color="gray" c="var(--mantine-color-text)" size={36} aria-label="Options of the answer">
          <TuneIcon />
        </ActionIcon>
      </Popover.Target>
      <Popover.Dropdown aria-label="Options of the answer" mih={FIELDS_HEIGHT}>
        <Suspense fallback={<Text size="sm">Opening the options …</Text>}>
          <SamplingFields />
        </Suspense>
      </Popover.Dropdown>
    </Popover>
  )
}

/** Of the fields, so that nothing moves when they arrive. */
const FIELDS_HEIGHT = 339
