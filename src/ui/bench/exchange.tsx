/** A run as a file: saved as JSON or CSV, or opened again to be compared with what was measured here. */

import { Button, CloseButton, FileButton, Group, Stack, Text, Title } from '@mantine/core'
import { useStore } from 'zustand'
import { compareRuns, runToCsv, runToJson, type SuiteRun } from '../../kernels/suite/index.ts'
import { saveFile } from '../browser.ts'
import { ErrorNote } from '../errorNote.tsx'
import { formatCount } from '../format.ts'
import type { BenchStore, ImportedRun } from './benchStore.ts'
import { RatioBars } from './ratioBars.tsx'
import { nameCase } from './words.ts'

interface ExchangeProps {
  readonly store: BenchStore
  readonly measured: SuiteRun | null
}

export function Exchange({ store, measured }: ExchangeProps) {
  const imported = useStore(store, (state) => state.imported)
  const importError = useStore(store, (state) => state.importError)
  const { importFile, removeImport } = store.getState()
  return (
    <Stack gap="md" component="section" aria-labelledby="exchange-title">
      <Title order={2} id="exchange-title">
        Keep and compare
      </Title>
      <Group gap="sm">
        <Button
          variant="default"
          disabled={measured === null}
          onClick={() => measured !== null && saveFile(fileName(measured, 'json'), 'application/json', runToJson(measured))}
          data-testid="bench-export-json"
        >
          Save as JSON
        </Button>
        <Button
          variant="default"
          disabled={measured === null}
          onClick={() => measured !== null && saveFile(fileName(measured, 'csv'), 'text/csv', runToCsv(measured))}
          data-testid="bench-export-csv"
        >
          Save as CSV
        </Button>
        <FileButton
          onChange={(file) => file !== null && importFile(file)}
          accept="application/json,.json"
          inputProps={{ 'aria-label': 'Run to compare with' }}
        >
          {(props) => (
            <Button variant="default" {...props} data-testid="bench-import">
              Open a saved run
            </Button>
          )}
        </FileButton>
      </Group>
      <Text size="sm" c="dimmed" maw="66ch">
        Files stay on this machine: saving and opening sends nothing anywhere.
      </Text>
      {importError !== null && <ErrorNote title="This file cannot be opened" error={importError} />}
      {imported !== null && <Imported imported={imported} measured={measured} onRemove={removeImport} />}
    </Stack>
  )
}

interface ImportedProps {
  readonly imported: ImportedRun
  readonly measured: SuiteRun | null
  readonly onRemove: () => void
}

function Imported({ imported: { fileName: name, run }, measured, onRemove }: ImportedProps) {
  return (
    <Stack gap="md" data-testid="bench-comparison">
      <Group gap="xs" justify="space-between" wrap="nowrap" align="start">
        <Text>
          <b>{name}</b>: {formatCount(run.cases.length, 'case')} on {run.adapter.description}, {run.adapter.runtime}.
        </Text>
        <CloseButton onClick={onRemove} aria-label="Close the opened run" />
      </Group>
      {measured === null ? (
        <Text>Measure the same cases here, and this shows how many times as fast each is.</Text>
      ) : (
        <Comparison before={run} after={measured} />
      )}
    </Stack>
  )
}

function Comparison({ before, after }: { readonly before: SuiteRun; readonly after: SuiteRun }) {
  const { both, onlyBefore, onlyAfter } = compareRuns(before, after)
  const elsewhere = [
    onlyBefore.length > 0 && `${formatCount(onlyBefore.length, 'case')} only in the file`,
    onlyAfter.length > 0 && `${formatCount(onlyAfter.length, 'case')} only measured here`,
  ].filter((part) => part !== false)
  return (
    <>
      <Text maw="66ch">
        {both.length === 0
          ? 'The two runs have no case in common.'
          : 'How many times as fast this run is as the file’s, case by case; the line is 1 ×, as fast as each other.'}
        {before.adapter.description !== after.adapter.description &&
          ` The file was measured on another adapter, ${before.adapter.description}.`}
        {before.kernelVersion !== after.kernelVersion &&
          ` Its kernels are of version ${before.kernelVersion}, these of ${after.kernelVersion}.`}
      </Text>
      <RatioBars
        label="This run against the file"
        ratios={both.map((each) => ({ id: nameCase(each.after), label: nameCase(each.after), ratio: each.speedup, quartiles: null }))}
      />
      {elsewhere.length > 0 && (
        <Text size="sm" c="dimmed">
          Not compared: {elsewhere.join(', ')}.
        </Text>
      )}
    </>
  )
}

/** `tabswarm-bench-nvidia-h100.json`: what a file system and a person can read. */
export function fileName({ adapter }: SuiteRun, extension: string): string {
  const words = adapter.description.toLowerCase().replaceAll(/[^a-z0-9]+/g, '-')
  return `tabswarm-bench-${words.replaceAll(/^-+|-+$/g, '').slice(0, 60) || 'run'}.${extension}`
}
