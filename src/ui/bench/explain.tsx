/** A figure's explanation, one tap away: a round button that opens a short text. */

import { ActionIcon, Popover, Text } from '@mantine/core'
import type { ReactNode } from 'react'

interface ExplainProps {
  /** What is explained, as it stands on the page: the button is called "What is …". */
  readonly term: string
  readonly children: ReactNode
}

export function Explain({ term, children }: ExplainProps) {
  return (
    <Popover width={280} position="top" shadow="md" withArrow withRoles returnFocus>
      <Popover.Target>
        <ActionIcon
          component="button"
          variant="default"
          radius="xl"
          size={22}
          fz={12}
          c="dimmed"
          aria-label={`What is ${term}?`}
          style={{ verticalAlign: 'middle' }}
        >
          ?
        </ActionIcon>
      </Popover.Target>
      <Popover.Dropdown aria-label={`About ${term}`}>
        <Text size="sm" fw={400} ta="left">
          {children}
        </Text>
      </Popover.Dropdown>
    </Popover>
  )
}
