/** One address of the API: what it does, and each parameter in words. */

import { Code, Text, Title } from '@mantine/core'
import type { ReferenceOperation } from './document.ts'
import styles from './referencePage.module.css'

export function OperationView({ operation: { id, method, path, summary, parameters } }: { readonly operation: ReferenceOperation }) {
  const entries = parameters.map(({ name, kind, words, isRequired }) => ({
    name,
    words,
    note: [isRequired ? 'required' : '', kind].filter(Boolean).join(', '),
  }))
  return (
    <article className={styles.operation} aria-labelledby={id} data-testid="reference-operation">
      <Title order={3} id={id} className={styles.address ?? ''}>
        {method} {path}
      </Title>
      <Text mt={4}>{summary}.</Text>
      {entries.length > 0 && (
        <details>
          <summary>
            {entries.length} parameters of {method} {path}
          </summary>
          <WordsList entries={entries} />
        </details>
      )}
    </article>
  )
}

interface WordsListProps {
  readonly entries: readonly { readonly name: string; readonly words: string; readonly note?: string }[]
}

export function WordsList({ entries }: WordsListProps) {
  return (
    <dl className={styles.list}>
      {entries.map(({ name, words, note = '' }) => (
        <div key={name} style={{ display: 'contents' }}>
          <dt>
            <Code>{name}</Code>
          </dt>
          <dd>
            <Words text={words} />
            {note !== '' && (
              <Text size="sm" c="dimmed">
                {note}
              </Text>
            )}
          </dd>
        </div>
      ))}
    </dl>
  )
}

/** What stands between backticks is code. */
export function Words({ text }: { readonly text: string }) {
  return [...text.matchAll(/`([^`]*)`|[^`]+/g)].map(({ 0: part, 1: code, index }) =>
    code === undefined ? part : <Code key={index}>{code}</Code>,
  )
}
