/** The API's reference: how a program comes in, what it may ask, what it is refused with, and who sees what it sends. Read from the coordinator's own description. */

import { Button, Code, Stack, Text, Title } from '@mantine/core'
import { fetchJson, readBrowser } from '../browser.ts'
import { ErrorNote } from '../errorNote.tsx'
import { Page } from '../page.tsx'
import { usePeer } from '../runtimeContext.ts'
import { useRead } from '../useRead.ts'
import { readReference } from './document.ts'
import { examplesOf } from './examples.ts'
import { OperationView, Words, WordsList } from './operationView.tsx'
import styles from './referencePage.module.css'

const ADDRESS = '/openapi.json'
const readDocument = async () => readReference(await fetchJson(ADDRESS))

export function ReferencePage() {
  const { origin } = readBrowser()
  const { state, again } = useRead(readDocument, ADDRESS)
  const lead =
    'Programs that speak OpenAI’s API come in by another base URL. What they may ask, this page takes from the coordinator itself.'
  return (
    <Page title="API reference" lead={lead}>
      <Examples baseUrl={`${origin}/v1`} />
      <WhoSees />
      {state.kind === 'reading' && <Text c="dimmed">Asking the coordinator …</Text>}
      {state.kind === 'failed' && (
        <ErrorNote title="The reference could not be read" error={state.error}>
          <Button variant="default" size="compact-sm" onClick={again}>
            Try again
          </Button>
        </ErrorNote>
      )}
      {state.kind === 'read' && (
        <>
          <section aria-labelledby="addresses">
            <Title order={2} id="addresses" mb="sm">
              Addresses
            </Title>
            <Text mb="md">
              The same for programs: <a href={ADDRESS}>{ADDRESS}</a>, OpenAPI 3.1.
            </Text>
            {state.value.operations.map((operation) => (
              <OperationView key={operation.id} operation={operation} />
            ))}
          </section>
          <section aria-labelledby="errors">
            <Title order={2} id="errors" mb="sm">
              Errors
            </Title>
            <Text>
              <Words text="Always `{error: {message, type, param, code}}`, with `x-request-id` and `x-should-retry`." />
            </Text>
            <WordsList entries={state.value.errors.map(({ status, words }) => ({ name: status, words }))} />
          </section>
        </>
      )}
    </Page>
  )
}

function Examples({ baseUrl }: { readonly baseUrl: string }) {
  const model = usePeer((peer) => peer.defaultModelId) ?? 'MODEL'
  return (
    <Stack component="section" gap="md" aria-labelledby="examples">
      <Title order={2} id="examples">
        Come in
      </Title>
      <Text>
        The base URL is <Code data-testid="reference-url">{baseUrl}</Code>. A key is made on the account’s page, or by{' '}
        <Code>tabswarm key create</Code>.
      </Text>
      {examplesOf(baseUrl, model).map(({ language, code }) => (
        <div key={language}>
          <Title order={3} size="h5" mb={6}>
            {language}
          </Title>
          {/* biome-ignore lint/a11y/noNoninteractiveTabindex: a region that scrolls must be reachable by keyboard */}
          <section className={styles.code} tabIndex={0} aria-label={`Example in ${language}`}>
            <pre>{code}</pre>
          </section>
        </div>
      ))}
    </Stack>
  )
}

function WhoSees() {
  return (
    <Stack component="section" gap="sm" aria-labelledby="who-sees">
      <Title order={2} id="who-sees">
        Who sees what you send
      </Title>
      <Text maw="66ch">
        What a program sends here passes through the memory of whoever runs this coordinator, and is kept nowhere unless you ask for it; the
        chat here, or a coordinator of your own, avoids even that.
      </Text>
      <Text maw="66ch">
        The tabs that compute an answer could reconstruct its text: use a public swarm for what may be public. Where a tab says that it
        stands, its region, is its own word, at most compared with its address: it is no attestation.
      </Text>
    </Stack>
  )
}
