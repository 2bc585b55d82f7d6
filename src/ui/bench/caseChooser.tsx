/** What to measure: kernels, models' shapes, formats, rows, and whether ONNX Runtime runs beside; then the one button. */

import { Button, Group, Stack, Switch, Text, Title } from '@mantine/core'
import { useStore } from 'zustand'
import {
  casesOf,
  encodeChoice,
  ORT_DOWNLOAD_BYTES,
  SUITE_KERNELS,
  type SuiteChoice,
  suiteFormats,
  suitePresets,
} from '../../kernels/suite/index.ts'
import { formatBytes, formatCount } from '../format.ts'
import { usePeer } from '../runtimeContext.ts'
import { type BenchStore, ORT_PARAMETER } from './benchStore.ts'
import { ChoiceChips } from './choiceChips.tsx'
import { CopyLink } from './copyLink.tsx'
import { Explain } from './explain.tsx'
import { KERNEL_NAMES } from './words.ts'

const KERNELS = SUITE_KERNELS.map((value) => ({ value, label: KERNEL_NAMES[value] }))
const PRESETS = suitePresets.map(({ id, name }) => ({ value: id, label: name }))
const FORMATS = suiteFormats.map((value) => ({ value, label: value }))
const KV_FORMATS = (['f32', 'f16'] as const).map((value) => ({ value, label: value }))
const DECODE_ROWS = [1, 2, 4, 8]
const PROMPT_ROWS = [16, 64, 128, 512]
const POSITIONS = [512, 2048, 8192]

interface CaseChooserProps {
  readonly store: BenchStore
  /** No GPU to ask, or it is busy with the whole model: both at once would spoil the figures. */
  readonly blocked: boolean
}

export function CaseChooser({ store, blocked }: CaseChooserProps) {
  const choice = useStore(store, (state) => state.choice)
  const againstOrt = useStore(store, (state) => state.againstOrt)
  const running = useStore(store, (state) => state.run.kind === 'running')
  const serving = usePeer(({ volunteer }) => volunteer.kind === 'serving')
  const cases = casesOf(choice)
  const { choose, setAgainstOrt, start } = store.getState()
  const has = (kernel: SuiteChoice['kernels'][number]) => choice.kernels.includes(kernel)
  return (
    <Stack gap="lg" component="section" aria-labelledby="choose-title">
      <Title order={2} id="choose-title">
        What to measure
      </Title>
      <ChoiceChips
        legend="Programs"
        explain={
          <Explain term="a program here">
            Nearly all the work of a language model. Mat-vec: weights times one row, for each token that is written. Mat-mat: weights times
            many rows, while the question is read. Attention: one new token looks back at all before it.
          </Explain>
        }
        choices={KERNELS}
        chosen={choice.kernels}
        disabled={running}
        onChange={(kernels) => choose({ kernels })}
      />
      <ChoiceChips
        legend="Shapes of"
        explain={
          <Explain term="a shape">The sizes of this model’s matrices. No model is downloaded: the weights are random numbers.</Explain>
        }
        choices={PRESETS}
        chosen={choice.presets}
        disabled={running}
        onChange={(presets) => choose({ presets })}
      />
      {(has('matvec') || has('matmul')) && (
        <ChoiceChips
          legend="Formats of the weights"
          explain={<Explain term="a format">How weights are rounded to save memory: q4_1 keeps 5 bits a weight, f16 keeps 16.</Explain>}
          choices={FORMATS}
          chosen={choice.formats}
          disabled={running}
          onChange={(formats) => choose({ formats })}
        />
      )}
      <Group gap="20px 40px" align="start">
        {has('matvec') && (
          <NumberChips
            legend="Rows of mat-vec"
            values={DECODE_ROWS}
            chosen={choice.decodeRows}
            disabled={running}
            onChange={(decodeRows) => choose({ decodeRows })}
          />
        )}
        {has('matmul') && (
          <NumberChips
            legend="Rows of mat-mat"
            values={PROMPT_ROWS}
            chosen={choice.promptRows}
            disabled={running}
            onChange={(promptRows) => choose({ promptRows })}
          />
        )}
        {has('attention_decode') && (
          <>
            <NumberChips
              legend="Positions of attention"
              values={POSITIONS}
              chosen={choice.positions}
              disabled={running}
              onChange={(positions) => choose({ positions })}
            />
            <ChoiceChips
              legend="Its cache in"
              choices={KV_FORMATS}
              chosen={choice.kvFormats}
              disabled={running}
              onChange={(kvFormats) => choose({ kvFormats })}
            />
          </>
        )}
      </Group>
      <Switch
        checked={againstOrt}
        onChange={(event) => setAgainstOrt(event.currentTarget.checked)}
        disabled={running}
        label="Compare with ONNX Runtime on the same GPU"
        description={`Takes about twice as long, and fetches ${formatBytes(ORT_DOWNLOAD_BYTES)} from this server once.`}
        data-testid="bench-ort"
      />
      <Group gap="md">
        <Button size="md" onClick={start} disabled={running || blocked || cases.length === 0} data-testid="bench-run">
          {cases.length === 0 ? 'Run' : `Run ${formatCount(cases.length, 'case')}`}
        </Button>
        <CopyLink parameters={() => linkParameters(choice, againstOrt)} />
        <Text size="sm" c="dimmed" role="status">
          {cases.length === 0
            ? 'Choose at least one of each.'
            : serving
              ? 'This tab is contributing: stop that first, or both slow each other.'
              : ''}
        </Text>
      </Group>
    </Stack>
  )
}

function linkParameters(choice: SuiteChoice, againstOrt: boolean): URLSearchParams {
  const parameters = encodeChoice(choice)
  if (againstOrt) parameters.set(ORT_PARAMETER, 'ort')
  return parameters
}

interface NumberChipsProps {
  readonly legend: string
  readonly values: readonly number[]
  readonly chosen: readonly number[]
  readonly disabled: boolean
  readonly onChange: (chosen: number[]) => void
}

/** A link may have brought numbers beyond the usual ones; they stay to be seen and switched off. */
function NumberChips({ legend, values, chosen, disabled, onChange }: NumberChipsProps) {
  const all = [...new Set([...values, ...chosen])].sort((a, b) => a - b)
  return (
    <ChoiceChips
      legend={legend}
      choices={all.map((value) => ({ value: String(value), label: value.toLocaleString('en-US') }))}
      chosen={chosen.map(String)}
      disabled={disabled}
      onChange={(values) => onChange(values.map(Number))}
    />
  )
}
