/** An error with what to do about it; an https address of this same host in its text becomes a link. */

import { Anchor, Group, Text } from '@mantine/core'
import type { ReactNode } from 'react'
import type { ErrorBody } from '../shared/index.ts'
import { readBrowser } from './browser.ts'
import { RedNote } from './redNote.tsx'

interface ErrorNoteProps {
  readonly title: string
  readonly error: ErrorBody
  /** Buttons and links that help. */
  readonly children?: ReactNode
}

export function ErrorNote({ title, error, children }: ErrorNoteProps) {
  return (
    <RedNote title={title}>
      <Text size="sm" style={{ overflowWrap: 'anywhere' }}>
        <LinkedText text={error.message} />
      </Text>
      {children !== undefined && (
        <Group gap="md" mt="sm">
          {children}
        </Group>
      )}
    </RedNote>
  )
}

/** Only addresses of this host: a message may hold a stranger's text. */
function LinkedText({ text }: { readonly text: string }) {
  const { hostname } = readBrowser()
  return text.split(/(https:\/\/[^\s"'<>]+[^\s"'<>.,;:!?)])/).map((part) =>
    part.startsWith('https://') && URL.canParse(part) && new URL(part).hostname === hostname ? (
      <Anchor key={part} href={part} inherit underline="always">
        {part}
      </Anchor>
    ) : (
      part
    ),
  )
}
