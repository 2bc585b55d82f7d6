/** Chat: the conversation and its composer, with the route of the answer beside it (in a drawer on narrow screens). */

import { ActionIcon, Button, Group, Title, VisuallyHidden } from '@mantine/core'
import { useDisclosure, useDocumentTitle, useMediaQuery } from '@mantine/hooks'
import { lazy, Suspense, useRef } from 'react'
import { useStore } from 'zustand'
import type { ChatEntry } from '../chatStore.ts'
import { RouteIcon } from '../icons.tsx'
import { useServices } from '../runtimeContext.ts'
import styles from './chatPage.module.css'
import { Composer } from './composer.tsx'
import { MessageList } from './messageList.tsx'
import { type RouteFigures, RoutePanel } from './routePanel.tsx'
import { SamplingPopover } from './samplingPopover.tsx'

/** Narrow screens only, and only when asked for. */
const RouteDrawer = lazy(async () => ({ default: (await import('./routeDrawer.tsx')).RouteDrawer }))

export function ChatPage() {
  useDocumentTitle('Chat · Tabswarm')
  const { chat } = useServices()
  const entries = useStore(chat, (state) => state.entries)
  const newChat = useStore(chat, (state) => state.newChat)
  const wide = useMediaQuery('(min-width: 64em)', true, { getInitialValueInEffect: false })
  const [drawerOpen, drawer] = useDisclosure(false)
  const routeButton = useRef<HTMLButtonElement>(null)
  const closeDrawer = () => {
    drawer.close()
    routeButton.current?.focus()
  }
  const figures = latestRoute(entries)
  return (
    <div className={styles.page} data-full-height>
      <VisuallyHidden>
        <Title order={1}>Chat</Title>
      </VisuallyHidden>
      <section className={styles.conversation} aria-label="Conversation">
        <Group justify="space-between" className={styles.toolbar} gap="xs">
          <Button
            variant="subtle"
            color="gray"
            size="compact-md"
            c="var(--mantine-color-text)"
            onClick={newChat}
            disabled={entries.length === 0}
          >
            New chat
          </Button>
          <Group gap={6}>
            <SamplingPopover />
            {!wide && (
              <ActionIcon
                ref={routeButton}
                variant="subtle"
                color="gray"
                c="var(--mantine-color-text)"
                size={36}
                aria-label="Who computes the answer"
                onClick={drawer.open}
              >
                <RouteIcon />
              </ActionIcon>
            )}
          </Group>
        </Group>
        <MessageList />
        <Composer />
      </section>
      {wide ? (
        <aside className={styles.aside} aria-label="Route of the answer">
          <RoutePanel figures={figures} />
        </aside>
      ) : (
        drawerOpen && (
          <Suspense>
            <RouteDrawer figures={figures} onClose={closeDrawer} />
          </Suspense>
        )
      )}
    </div>
  )
}

function latestRoute(entries: readonly ChatEntry[]): RouteFigures | null {
  const reply = entries.at(-1)
  if (reply?.role !== 'assistant') return null
  if (reply.status.kind === 'done') {
    const { sessionId, stages, firstLink, timeToFirstTokenMs, tokensPerSecond, completionTokenIds } = reply.status.answer
    return { sessionId, stages, firstLink, lapMs: null, timeToFirstTokenMs, tokensPerSecond, tokens: completionTokenIds.length }
  }
  const progress = reply.status.kind === 'running' ? reply.status.progress : null
  if (progress === null || progress.route.length === 0) return null
  const { sessionId, route, firstLink, lastLapMs, completionTokens } = progress
  return {
    sessionId,
    stages: route,
    firstLink,
    lapMs: lastLapMs,
    timeToFirstTokenMs: null,
    tokensPerSecond: null,
    tokens: completionTokens,
  }
}
