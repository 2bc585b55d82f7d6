/** The conversation. Each entry is memoized by identity: while an answer streams, only its own view renders. */

import { Anchor, Button, Stack, Text, Title } from '@mantine/core'
import { memo, useLayoutEffect, useRef, useState } from 'react'
import { Link } from 'wouter'
import { useStore } from 'zustand'
import type { ChatEntry } from '../chatStore.ts'
import { formatBytes } from '../format.ts'
import { usePeer, useServices } from '../runtimeContext.ts'
import styles from './messageList.module.css'
import { ReplyView } from './replyView.tsx'

/** Closer to the end than this counts as being there. */
const END_PX = 48

export function MessageList() {
  const { chat } = useServices()
  const entries = useStore(chat, (state) => state.entries)
  const { scrollerRef, atEnd, onScroll, jump } = useStickToEnd(entries)
  return (
    <div className={styles.frame}>
      <div
        className={styles.scroller}
        ref={scrollerRef}
        onScroll={onScroll}
        // biome-ignore lint/a11y/noNoninteractiveTabindex: a scrolling region must be reachable by keyboard (WCAG 2.1.1)
        tabIndex={0}
        role="log"
        aria-live="polite"
        aria-label="Messages"
      >
        {entries.length === 0 ? (
          <Welcome />
        ) : (
          <div className={styles.list}>
            {entries.map((entry, at) => (
              <EntryView key={entry.id} entry={entry} last={at === entries.length - 1} />
            ))}
          </div>
        )}
      </div>
      {!atEnd && (
        <Button className={styles.jump ?? ''} variant="default" size="compact-sm" radius="xl" onClick={jump}>
          Jump to the end ↓
        </Button>
      )}
    </div>
  )
}

const EntryView = memo(function EntryView({ entry, last }: { readonly entry: ChatEntry; readonly last: boolean }) {
  if (entry.role === 'assistant') return <ReplyView reply={entry} last={last} />
  return (
    <div className={styles.question}>
      <span className={styles.srOnly}>You asked: </span>
      {entry.text}
    </div>
  )
})

/** Follows a growing answer as long as the reader is at its end, and lets go as soon as they scroll up. */
function useStickToEnd(entries: readonly ChatEntry[]) {
  const scrollerRef = useRef<HTMLDivElement>(null)
  const stuck = useRef(true)
  const [atEnd, setAtEnd] = useState(true)
  const jump = () => {
    const scroller = scrollerRef.current
    if (scroller === null) return
    scroller.scrollTop = scroller.scrollHeight
  }
  const onScroll = () => {
    const scroller = scrollerRef.current
    if (scroller === null) return
    stuck.current = scroller.scrollHeight - scroller.scrollTop - scroller.clientHeight < END_PX
    setAtEnd(stuck.current)
  }
  const count = useRef(0)
  useLayoutEffect(() => {
    const asked = entries.length > count.current
    count.current = entries.length
    if (asked || stuck.current) jump()
  })
  return { scrollerRef, atEnd, onScroll, jump }
}

function Welcome() {
  const swarm = usePeer((state) => state.network?.swarms[0])
  const { chat } = useServices()
  const send = useStore(chat, (state) => state.send)
  if (swarm === undefined || swarm.state !== 'ready') {
    return (
      <Stack className={styles.welcome ?? ''} gap="xs">
        <Title order={2}>{swarm?.state === 'empty' ? 'Nobody is contributing yet' : 'The swarm is not complete yet'}</Title>
        <Text maw="52ch">
          {swarm === undefined
            ? 'Waiting to hear from the coordinator.'
            : `The layers of ${swarm.name} need tabs that hold them${swarm.missingBytes > 0 ? `; ${formatBytes(swarm.missingBytes)} are still to be pledged` : ''}.`}
        </Text>
        <Anchor component={Link} href="/contribute" underline="always">
          Contribute this tab, or open Contribute in another one
        </Anchor>
      </Stack>
    )
  }
  return (
    <Stack className={styles.welcome ?? ''} gap="sm">
      <Title order={2}>Ask the swarm</Title>
      <Text c="dimmed" maw="52ch">
        {swarm.name} answers, computed by {swarm.volunteers.length === 1 ? 'one tab' : `${swarm.volunteers.length} tabs`}. It is a small
        model: quick, and often wrong.
      </Text>
      {SUGGESTIONS.map((text) => (
        <Button key={text} variant="default" className={styles.suggestion ?? ''} onClick={() => send(text)}>
          {text}
        </Button>
      ))}
    </Stack>
  )
}

const SUGGESTIONS = ['What is the capital of France?', 'Write a haiku about bees.', 'Explain what a GPU does, in two sentences.'] as const
