/** Accounts, a page at a time: found by the beginning of their id or a part of their name. */

import { Button, Group, Stack, Text, TextInput, Title } from '@mantine/core'
import { useCallback, useEffect, useState } from 'react'
import type { ListedAccountState } from '../../peer/index.ts'
import { ACCOUNT_NAME_CHARACTERS_MAX, type ErrorBody, toErrorBody } from '../../shared/index.ts'
import { ActionForm } from '../actionForm.tsx'
import { ErrorNote } from '../errorNote.tsx'
import { useServices } from '../runtimeContext.ts'
import { AccountRow } from './accountRow.tsx'

interface Listed {
  readonly search: string
  readonly accounts: readonly ListedAccountState[]
  readonly hasMore: boolean
  readonly isReading: boolean
  readonly error: ErrorBody | null
}

const NOTHING: Listed = { search: '', accounts: [], hasMore: false, isReading: true, error: null }

export function AccountsPanel({ onChanged }: { readonly onChanged: () => void }) {
  const { runtime } = useServices()
  const [typed, setTyped] = useState('')
  const [listed, setListed] = useState<Listed>(NOTHING)
  const read = useCallback(
    async (search: string, before: readonly ListedAccountState[]) => {
      setListed({ search, accounts: before, hasMore: false, isReading: true, error: null })
      try {
        const { accounts, hasMore } = await runtime.operator.accounts(search, before.at(-1)?.id ?? null)
        setListed({ search, accounts: [...before, ...accounts], hasMore, isReading: false, error: null })
      } catch (error) {
        setListed({ search, accounts: before, hasMore: false, isReading: false, error: toErrorBody(error) })
      }
    },
    [runtime],
  )
  useEffect(() => void read('', []), [read])
  const changed = (account: ListedAccountState) => {
    setListed((now) => ({ ...now, accounts: now.accounts.map((one) => (one.id === account.id ? account : one)) }))
    onChanged()
  }
  return (
    <Stack component="section" gap="md" aria-labelledby="accounts-title" data-testid="accounts" aria-busy={listed.isReading}>
      <Title order={2} id="accounts-title">
        Accounts
      </Title>
      <ActionForm onSubmit={() => !listed.isReading && void read(typed.trim(), [])}>
        <Group gap="sm" align="end">
          <TextInput
            label="Beginning of the id, or a part of the name"
            value={typed}
            onChange={(event) => setTyped(event.currentTarget.value)}
            maxLength={ACCOUNT_NAME_CHARACTERS_MAX}
            autoComplete="off"
            spellCheck={false}
            data-testid="account-search"
          />
          <Button type="submit" variant="default" disabled={listed.isReading} data-testid="search-accounts">
            {listed.isReading ? 'Searching …' : 'Search'}
          </Button>
        </Group>
      </ActionForm>
      {listed.accounts.map((account) => (
        <AccountRow key={account.id} account={account} onChanged={changed} />
      ))}
      {listed.accounts.length === 0 && !listed.isReading && listed.error === null && (
        <Text c="dimmed">{listed.search === '' ? 'There are no accounts yet.' : `No account matches “${listed.search}”.`}</Text>
      )}
      {listed.error !== null && <ErrorNote title="The accounts could not be read" error={listed.error} />}
      {listed.hasMore && (
        <Button variant="default" onClick={() => void read(listed.search, listed.accounts)} data-testid="more-accounts">
          Show more accounts
        </Button>
      )}
    </Stack>
  )
}
