/** One reply: its text as it grows, the phase in words before it, what went wrong, and what can be done with it. */

import { Anchor, Button, Group, Text } from '@mantine/core'
import { lazy, Suspense, useEffect, useState } from 'react'
import { Link } from 'wouter'
import { useStore } from 'zustand'
import type { Answer } from '../../peer/index.ts'
import { unreachable } from '../../shared/index.ts'
import { copyText } from '../browser.ts'
import type { AnswerStatus, Reply } from '../chatStore.ts'
import { ErrorNote } from '../errorNote.tsx'
import { formatCount, formatMs } from '../format.ts'
import { usePeer, useServices } from '../runtimeContext.ts'
import { BillLine } from './billLine.tsx'
import { phaseInWords } from './phase.ts'
import styles from './replyView.module.css'

/** Half of this page's weight: it comes while the swarm reads the first question. Until then the text stands as it is. */
const loadMarkdown = async () => ({ default: (await import('./markdown.tsx')).Markdown })
const Markdown = lazy(loadMarkdown)

export function ReplyView({ reply, last }: { readonly reply: Reply; readonly last: boolean }) {
  const { status, text } = reply
  useEffect(() => void loadMarkdown().catch(() => undefined), [])
  const running = status.kind === 'running'
  return (
    <article className={styles.reply} aria-label="Answer">
      <div data-testid="chat-answer" data-status={status.kind} aria-busy={running}>
        {text !== '' && (
          <Suspense fallback={<p className={styles.plain}>{text}</p>}>
            <Markdown text={text} />
          </Suspense>
        )}
      </div>
      {running && (
        <p className={styles.phase} role="status">
          <span className={styles.pulse} aria-hidden="true" />
          {status.stopping ? 'Stopping' : phaseInWords(status.progress)}
        </p>
      )}
      {status.kind === 'failed' && <Failure status={status} started={text !== ''} last={last} />}
      <BillLine sessionId={reply.sessionId} />
      {status.kind === 'done' && <Done status={status} text={text} last={last} />}
    </article>
  )
}

function Done({
  status,
  text,
  last,
}: {
  readonly status: Extract<AnswerStatus, { kind: 'done' }>
  readonly text: string
  readonly last: boolean
}) {
  const { chat } = useServices()
  const { retry } = chat.getState()
  const answering = useStore(chat, (state) => state.answering)
  const [copied, setCopied] = useState<'no' | 'yes' | 'refused'>('no')
  const { answer } = status
  return (
    <Group gap="sm" mt={6}>
      <Text size="sm" c="dimmed">
        {finishInWords(answer.finishReason, text === '')}
        {formatCount(answer.completionTokenIds.length, 'token')}
        {answer.tokensPerSecond !== null && `, ${answer.tokensPerSecond.toFixed(1)} a second`}
        {answer.timeToFirstTokenMs !== null && `, first after ${formatMs(answer.timeToFirstTokenMs)}`}
        {draftsInWords(answer)}
      </Text>
      {text !== '' && (
        <Button
          variant="subtle"
          size="compact-sm"
          c="var(--mantine-color-anchor)"
          onClick={async () => setCopied((await copyText(text)) ? 'yes' : 'refused')}
        >
          {copied === 'no' ? 'Copy' : copied === 'yes' ? 'Copied' : 'The browser refused; select the text'}
        </Button>
      )}
      {last && (
        <Button variant="subtle" size="compact-sm" c="var(--mantine-color-anchor)" disabled={answering} onClick={retry}>
          Answer again
        </Button>
      )}
    </Group>
  )
}

/** Of answers that a draft model took part in. */
function draftsInWords({ draftModel, drafts }: Answer): string {
  if (draftModel === null) return ''
  const counts = `, ${drafts.acceptedTokens} of ${formatCount(drafts.draftedTokens, 'drafted token')} right`
  return draftModel.problem === null ? counts : `${counts}. The draft model was dropped: ${draftModel.problem.message}`
}

function finishInWords(reason: 'stop' | 'length' | 'cancelled', empty: boolean): string {
  switch (reason) {
    case 'stop':
      return empty ? 'The model had nothing to say. ' : ''
    case 'length':
      return 'Cut at the token limit (see Options). '
    case 'cancelled':
      return 'Stopped by you. '
    default:
      return unreachable(reason)
  }
}

/** The coordinator's word for who cannot pay. */
const POOR = 'insufficient-credits'

function failureTitle(reason: string, started: boolean): string {
  if (reason === POOR) return 'Not enough credits'
  return started ? 'The answer broke off' : 'No answer'
}

function Failure({
  status,
  started,
  last,
}: {
  readonly status: Extract<AnswerStatus, { kind: 'failed' }>
  readonly started: boolean
  readonly last: boolean
}) {
  const { chat } = useServices()
  const { retry, newChat } = chat.getState()
  const complete = usePeer((state) => state.network?.swarms[0]?.state === 'ready')
  const { error } = status
  const isPoor = error.reason === POOR
  return (
    <ErrorNote title={failureTitle(error.reason, started)} error={error}>
      {last && (
        <Button variant="default" size="compact-md" onClick={retry}>
          Try again
        </Button>
      )}
      {error.reason === 'prompt-too-long' && (
        <Button variant="default" size="compact-md" onClick={newChat}>
          Start a new chat
        </Button>
      )}
      {(!complete || isPoor) && (
        <Anchor component={Link} href="/contribute" size="sm" underline="always">
          {isPoor ? 'Earn credits: contribute a tab' : 'Contribute a tab'}
        </Anchor>
      )}
    </ErrorNote>
  )
}
