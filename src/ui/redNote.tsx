/** Something that is wrong, in a red frame that screen readers read out at once. */

import { Alert } from '@mantine/core'
import type { ReactNode } from 'react'

interface RedNoteProps {
  readonly title: string
  readonly testId?: string
  readonly children: ReactNode
}

export function RedNote({ title, testId, children }: RedNoteProps) {
  return (
    <Alert
      color="red"
      variant="outline"
      title={title}
      role="alert"
      styles={{ title: { color: 'var(--mantine-color-error)' } }}
      data-testid={testId}
    >
      {children}
    </Alert>
  )
}
