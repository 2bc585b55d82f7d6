/** The recovery phrase: asked to be saved, shown on demand, copied or downloaded, and let go once one of its words has been typed. */

import { Button, Group, Stack, Text, TextInput } from '@mantine/core'
import { useState } from 'react'
import { type ErrorBody, toErrorBody } from '../../shared/index.ts'
import { copyText, randomSeed, saveFile } from '../browser.ts'
import { ErrorNote } from '../errorNote.tsx'
import { useServices } from '../runtimeContext.ts'
import styles from './recoveryPhrase.module.css'

export function RecoveryPhrase({ phrase }: { readonly phrase: string }) {
  const [isShown, setShown] = useState(false)
  return (
    <Stack gap="sm">
      <Group justify="space-between" gap="sm">
        <Text size="sm" flex={1} miw={240} maw="62ch">
          <b>You have earned credits; save your recovery phrase.</b> The key to this account is in this browser alone. Its twelve words open
          the key’s locked copy, so that an account can come back after this browser forgot it. Coming back on another device is not offered
          by this version yet.
        </Text>
        {!isShown && (
          <Button variant="default" onClick={() => setShown(true)} data-testid="show-phrase">
            Show the words
          </Button>
        )}
      </Group>
      {isShown && <Words phrase={phrase} />}
    </Stack>
  )
}

function Words({ phrase }: { readonly phrase: string }) {
  const [copied, setCopied] = useState<'no' | 'yes' | 'refused'>('no')
  const words = phrase.split(' ')
  return (
    <>
      <ol className={styles.words} data-testid="phrase">
        {words.map((word, at) => (
          // biome-ignore lint/suspicious/noArrayIndexKey: a word may stand twice, and none ever moves
          <li key={at}>{word}</li>
        ))}
      </ol>
      <Group gap="xs">
        <Button
          variant="default"
          size="compact-sm"
          onClick={async () => setCopied((await copyText(phrase)) ? 'yes' : 'refused')}
          data-testid="copy-phrase"
        >
          {copied === 'no' ? 'Copy' : copied === 'yes' ? 'Copied' : 'The browser refused; select the words'}
        </Button>
        <Button variant="default" size="compact-sm" onClick={() => saveFile('tabswarm-recovery-phrase.txt', 'text/plain', `${phrase}\n`)}>
          Download
        </Button>
      </Group>
      <Confirmation words={words} />
    </>
  )
}

/** One word, chosen by chance: whoever types it has the others, too. */
function Confirmation({ words }: { readonly words: readonly string[] }) {
  const { runtime } = useServices()
  const [at] = useState(() => randomSeed() % words.length)
  const [typed, setTyped] = useState('')
  const [error, setError] = useState<ErrorBody | null>(null)
  const isRight = typed.trim().toLowerCase() === words[at]
  const confirm = async () => {
    try {
      await runtime.phraseSaved()
    } catch (reason) {
      setError(toErrorBody(reason))
    }
  }
  return (
    <form
      onSubmit={(event) => {
        event.preventDefault()
        if (isRight) void confirm()
      }}
    >
      <Group gap="sm" align="end">
        <TextInput
          label={`Word ${at + 1} from your copy`}
          description="Then this browser forgets the words."
          value={typed}
          onChange={(event) => setTyped(event.currentTarget.value)}
          autoComplete="off"
          autoCapitalize="none"
          spellCheck={false}
          data-testid="phrase-word"
          data-word={at + 1}
        />
        <Button type="submit" disabled={!isRight} data-testid="phrase-saved">
          I have saved it
        </Button>
      </Group>
      {error !== null && <ErrorNote title="It could not be noted" error={error} />}
    </form>
  )
}
