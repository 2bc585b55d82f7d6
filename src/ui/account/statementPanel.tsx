/** The monthly statement: a month to choose, its lines, and the same as a file. */

import { Button, Group, NativeSelect, Stack, Table, Text, Title } from '@mantine/core'
import { useEffect, useState } from 'react'
import { useStore } from 'zustand'
import { formatCredits, type StatementAmounts } from '../../shared/index.ts'
import { currentMonth, saveFile } from '../browser.ts'
import { ErrorNote } from '../errorNote.tsx'
import { usePeer, useServices } from '../runtimeContext.ts'
import styles from './statementPanel.module.css'
import { createStatementStore, type StatementRow, type StatementStore } from './statementStore.ts'
import { describeLine, describeOthers, formatChange, formatLineTime, monthsUpTo, nameMonth } from './statementWords.ts'

/** Two years: what is older, the command prints. */
const MONTHS_OFFERED = 24

export function StatementPanel() {
  const { runtime } = useServices()
  const [latest] = useState(currentMonth)
  const [store] = useState(() => createStatementStore(runtime, latest))
  const account = usePeer((state) => state.account)
  const accountId = account?.accountId
  const { month, rows, opening, closing, hasMore, isReading, error } = useStore(store)
  const { open, readOn } = store.getState()
  useEffect(() => {
    if (accountId !== undefined) open(store.getState().month)
  }, [accountId, open, store])
  useEffect(() => {
    const state = store.getState()
    // A balance that has changed has a line for it, in this month alone.
    if (account !== null && state.month === latest && state.opening !== null && !state.hasMore) state.readOn()
  }, [account, latest, store])
  return (
    <Stack component="section" gap="md" aria-labelledby="statement-title" data-testid="statement" aria-busy={isReading}>
      <Group justify="space-between" align="end" gap="md">
        <Title order={2} id="statement-title">
          Statement
        </Title>
        <Group align="end" gap="sm">
          <NativeSelect
            aria-label="Month, in UTC"
            value={month}
            onChange={(event) => open(event.currentTarget.value)}
            data={monthsUpTo(latest, MONTHS_OFFERED).map((value) => ({ value, label: nameMonth(value) }))}
            data-testid="statement-month"
          />
          <CsvButton store={store} isEnabled={opening !== null} />
        </Group>
      </Group>
      {error !== null && (
        <ErrorNote title="The statement could not be read" error={error}>
          <Button variant="default" size="compact-md" onClick={readOn}>
            Try again
          </Button>
        </ErrorNote>
      )}
      {opening === null || closing === null ? (
        error === null && <Text c="dimmed">Asking the coordinator for this month …</Text>
      ) : (
        <Lines month={month} rows={rows} opening={opening} closing={hasMore ? null : closing} />
      )}
      {hasMore && (
        <Button variant="default" onClick={readOn} disabled={isReading} data-testid="statement-more">
          Show more lines
        </Button>
      )}
    </Stack>
  )
}

function CsvButton({ store, isEnabled }: { readonly store: StatementStore; readonly isEnabled: boolean }) {
  const [isWriting, setWriting] = useState(false)
  const save = async () => {
    setWriting(true)
    const csv = await store.getState().csv()
    if (csv !== null) saveFile(`tabswarm-${store.getState().month}.csv`, 'text/csv', csv)
    setWriting(false)
  }
  return (
    <Button variant="default" onClick={save} disabled={!isEnabled || isWriting} data-testid="statement-csv">
      {isWriting ? 'Reading it all …' : 'Download CSV'}
    </Button>
  )
}

interface LinesProps {
  readonly month: string
  readonly rows: readonly StatementRow[]
  readonly opening: StatementAmounts
  /** Null while lines before it are still to be read. */
  readonly closing: StatementAmounts | null
}

function Lines({ month, rows, opening, closing }: LinesProps) {
  return (
    <Table className={styles.table ?? ''} verticalSpacing="xs" horizontalSpacing={0} captionSide="top">
      <caption className={styles.caption}>
        {rows.length === 0 ? `Nothing happened in ${nameMonth(month)}.` : 'Credits; times in UTC. The balance is what could be spent.'}
      </caption>
      <Table.Thead>
        <Table.Tr>
          <Table.Th scope="col">When</Table.Th>
          <Table.Th scope="col">What</Table.Th>
          <Table.Th scope="col" className={styles.number ?? ''}>
            Amount
          </Table.Th>
          <Table.Th scope="col" className={styles.number ?? ''}>
            Balance
          </Table.Th>
        </Table.Tr>
      </Table.Thead>
      <Table.Tbody>
        <BalanceRow name="When the month began" amounts={opening} />
        {rows.map((row) => (
          <LineRow key={`${row.sequence}-${row.role}`} row={row} />
        ))}
        {closing !== null && rows.length > 0 && <BalanceRow name="After these lines" amounts={closing} />}
      </Table.Tbody>
    </Table>
  )
}

function LineRow({ row }: { readonly row: StatementRow }) {
  const others = describeOthers(row)
  return (
    <Table.Tr data-testid="statement-line" data-kind={row.kind} data-role={row.role}>
      <Table.Td className={styles.when ?? ''}>{formatLineTime(row.atMs)}</Table.Td>
      <Table.Td>
        {describeLine(row)}
        {others !== '' && (
          <Text span display="block" size="xs" c="dimmed">
            {others}
          </Text>
        )}
      </Table.Td>
      <Table.Td className={styles.number ?? ''}>{formatChange(row.available)}</Table.Td>
      <Table.Td className={styles.number ?? ''}>{formatCredits(row.balance)}</Table.Td>
    </Table.Tr>
  )
}

function BalanceRow({ name, amounts }: { readonly name: string; readonly amounts: StatementAmounts }) {
  const others = describeOthers(amounts)
  return (
    <Table.Tr>
      <Table.Td colSpan={3} c="dimmed">
        {name}
        {others !== '' && `, ${others}`}
      </Table.Td>
      <Table.Td className={styles.number ?? ''} fw={600}>
        {formatCredits(amounts.available)}
      </Table.Td>
    </Table.Tr>
  )
}
