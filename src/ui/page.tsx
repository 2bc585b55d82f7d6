/** A page's frame: its width, its title in the tab, and its heading. */

import { Container, Stack, Text, Title } from '@mantine/core'
import { useDocumentTitle } from '@mantine/hooks'
import type { ReactNode } from 'react'

/** Of the column of text; tables and plots may be wider. */
const WIDTH = { text: 880, wide: 1120 } as const

interface PageProps {
  readonly title: string
  readonly lead?: ReactNode
  readonly width?: keyof typeof WIDTH
  readonly children?: ReactNode
}

export function Page({ title, lead, width = 'text', children }: PageProps) {
  useDocumentTitle(`${title} · Tabswarm`)
  return (
    <Container size={WIDTH[width]} w="100%" py={{ base: 'lg', sm: 40 }}>
      <Stack gap="xl">
        <Stack gap="sm">
          <Title order={1}>{title}</Title>
          {lead !== undefined && (
            <Text size="lg" maw="62ch" lh={1.55}>
              {lead}
            </Text>
          )}
        </Stack>
        {children}
      </Stack>
    </Container>
  )
}
