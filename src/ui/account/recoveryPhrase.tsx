/** The recovery phrase: asked to be saved, shown on demand, copied or downloaded, and let go once one of its words has been typed. */

import { Button, Group, Stack, Text, TextInput } from '@mantine/core'
import { useState } from 'react'
import { type ErrorBody, toErrorBody } from '../../shared/index.ts'
import { ActionForm } from '../actionForm.tsx'
import { copyText, randomSeed, saveFile } from '../browser.ts'
import { ErrorNote } from '../errorNote.tsx'
import { usePeer, useServices } from '../runtimeContext.ts'
import styles from './recoveryPhrase.module.css'

interface RecoveryPhraseProps {
  readonly phrase: string
  /** Why it is shown now. */
  readonly lead: string
}

export function RecoveryPhrase({ phrase, lead }: RecoveryPhraseProps) {
  const [isShown, setShown] = useState(false)
  const hasCopy = usePeer(({ accountKeeping }) => accountKeeping?.hasCopy)
  return (
    <Stack gap="sm">
      <Group justify="space-between" gap="sm">
        <Text size="sm" flex={1} miw={240} maw="62ch">
          <b>{lead}</b> The key to this account is in this browser alone. The coordinator keeps a locked copy of it, which it cannot open:
          twelve words do. With them the account comes back here or on any other device; without them nobody can bring it back.
        </Text>
        {!isShown && (
          <Button variant="default" onClick={() => setShown(true)} data-testid="show-phrase">
            Show the words
          </Button>
        )}
      </Group>
      {hasCopy === false && (
        <Text size="sm" maw="62ch" role="status" data-testid="no-copy">
          The coordinator has not taken the copy yet. This tab tries again when it connects anew; until then the words open nothing.
        </Text>
      )}
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
    <ActionForm onSubmit={() => isRight && void confirm()}>
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
    </ActionForm>
  )
}
