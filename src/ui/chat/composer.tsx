/** Where a question is written. Enter sends, Shift+Enter breaks the line; while an answer runs, Stop takes Send's place. */

import { ActionIcon, Text, Textarea } from '@mantine/core'
import { type KeyboardEvent, useState } from 'react'
import { useStore } from 'zustand'
import { ActionForm } from '../actionForm.tsx'
import { QUESTION_CHARACTERS_MAX } from '../chatStore.ts'
import { SendIcon, StopIcon } from '../icons.tsx'
import { useServices } from '../runtimeContext.ts'
import styles from './composer.module.css'
import { CreditLine } from './creditLine.tsx'

export function Composer() {
  const { chat } = useServices()
  const answering = useStore(chat, (state) => state.answering)
  const tier = useStore(chat, (state) => state.options.tier)
  const { send, stop } = chat.getState()
  const [text, setText] = useState('')
  const submit = () => {
    if (answering || text.trim() === '') return
    send(text)
    setText('')
  }
  const onKeyDown = (event: KeyboardEvent) => {
    if (event.key !== 'Enter' || event.shiftKey || event.nativeEvent.isComposing) return
    event.preventDefault()
    submit()
  }
  return (
    <ActionForm className={styles.composer} onSubmit={submit}>
      <div className={styles.row}>
        <Textarea
          className={styles.input ?? ''}
          aria-label="Your question"
          placeholder="Ask something"
          autosize
          minRows={1}
          maxRows={8}
          size="md"
          radius="lg"
          value={text}
          maxLength={QUESTION_CHARACTERS_MAX}
          onChange={(event) => setText(event.currentTarget.value)}
          onKeyDown={onKeyDown}
          data-testid="chat-input"
        />
        {answering ? (
          <ActionIcon size={42} radius="lg" variant="default" aria-label="Stop answering" onClick={stop} data-testid="chat-stop">
            <StopIcon />
          </ActionIcon>
        ) : (
          <ActionIcon
            type="submit"
            size={42}
            radius="lg"
            variant="filled"
            aria-label="Send"
            disabled={text.trim() === ''}
            data-testid="chat-send"
          >
            <SendIcon />
          </ActionIcon>
        )}
      </div>
      <CreditLine tier={tier} />
      <Text fz={13} c="dimmed" className={styles.privacy ?? ''}>
        The tabs that run or check a session could in principle reconstruct your text from activations: send no secrets. The conversation is
        kept in this tab only, until you close it.
      </Text>
    </ActionForm>
  )
}
