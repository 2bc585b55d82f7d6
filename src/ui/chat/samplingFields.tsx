/** The fields of the options of an answer; apart from their popover, since they weigh more than the page around them. */

import { NativeSelect, NumberInput, Slider, Stack, Text } from '@mantine/core'
import { useStore } from 'zustand'
import { TIERS, type Tier } from '../../shared/index.ts'
import { usePeer, useServices } from '../runtimeContext.ts'
import { DraftModelFields } from './draftModelFields.tsx'
import { tierLabel } from './tiers.ts'

const SEED_MAX = 2 ** 32 - 1
/** One answer; the default model's context is 8,192 positions. */
const TOKENS_MAX = 4_096

export function SamplingFields() {
  const { chat } = useServices()
  const { temperature, maxTokens, seed, tier } = useStore(chat, (state) => state.options)
  const { setOptions } = chat.getState()
  const factors = usePeer(({ prices, defaultModelId }) => (defaultModelId === null ? undefined : prices.get(defaultModelId)?.tiers))
  return (
    <Stack gap="md">
      <div>
        <Text size="sm" fw={600} id="temperature-label">
          Temperature {temperature.toFixed(1)}
        </Text>
        <Slider
          min={0}
          max={2}
          step={0.1}
          value={temperature}
          onChange={(value) => setOptions({ temperature: value })}
          label={null}
          thumbLabel="Temperature"
        />
        <Text size="xs" c="dimmed" mt={6}>
          0 always takes the likeliest word.
        </Text>
      </div>
      <NumberInput
        label="Longest answer, in tokens"
        min={1}
        max={TOKENS_MAX}
        allowDecimal={false}
        value={maxTokens}
        onChange={(value) => typeof value === 'number' && value >= 1 && value <= TOKENS_MAX && setOptions({ maxTokens: value })}
      />
      <NumberInput
        label="Seed"
        description="Empty: a new one for each answer"
        min={0}
        max={SEED_MAX}
        allowDecimal={false}
        allowNegative={false}
        value={seed ?? ''}
        onChange={(value) => setOptions({ seed: typeof value === 'number' && value <= SEED_MAX ? value : null })}
      />
      <NativeSelect
        label="Place in line"
        description="Where there is no room for all"
        data={TIERS.map((value) => ({ value, label: tierLabel(value, factors?.[value]) }))}
        value={tier}
        onChange={({ currentTarget }) => setOptions({ tier: currentTarget.value as Tier })}
      />
      <DraftModelFields />
    </Stack>
  )
}
