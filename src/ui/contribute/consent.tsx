/** Before anything runs: what will, what others can see, what it costs, how much to give. */

import { Button, Group, List, NumberInput, Slider, Stack, Text, Title } from '@mantine/core'
import { useId } from 'react'
import { formatBytes } from '../format.ts'
import { clampPledgeMb, PLEDGE_MB_MAX, PLEDGE_MB_MIN, PLEDGE_MB_SLIDER_MAX, pledgeBytes } from './pledge.ts'

interface ConsentProps {
  readonly pledgeMb: number
  readonly onPledge: (megabytes: number) => void
  readonly onStart: () => void
}

export function Consent({ pledgeMb, onPledge, onStart }: ConsentProps) {
  return (
    <>
      <Stack gap="xs">
        <Title order={2}>What happens when you press the button</Title>
        <List spacing="xs" maw="66ch">
          <List.Item>
            <b>What runs.</b> This tab downloads some layers of a model, keeps them in this browser, and computes them for whoever asks: on
            your GPU, or on your processor where the browser offers none. Only this project’s own programs run, never a stranger’s.
          </List.Item>
          <List.Item>
            <b>What others see.</b> Other tabs of a session connect to yours directly, so they learn your network address and the name of
            your GPU, if it computes.
          </List.Item>
          <List.Item>
            <b>What you see.</b> Numbers, not sentences. Still, the tabs that run or check a session could in principle reconstruct the text
            from activations.
          </List.Item>
          <List.Item>
            <b>What it costs.</b> Electricity while your device computes, and traffic: the download once, then, with the default model,
            about a kilobyte for each token.
          </List.Item>
          <List.Item>
            <b>How it ends.</b> Stop, or close the tab: its memory is given back at once.
          </List.Item>
        </List>
      </Stack>
      <Pledge pledgeMb={pledgeMb} onPledge={onPledge} />
      <Group gap="md">
        <Button size="md" onClick={onStart} data-testid="start-contributing">
          Start contributing
        </Button>
        <Text size="sm" c="dimmed">
          Nothing has run so far.
        </Text>
      </Group>
    </>
  )
}

function Pledge({ pledgeMb, onPledge }: Pick<ConsentProps, 'pledgeMb' | 'onPledge'>) {
  const labelId = useId()
  return (
    <Stack gap={6}>
      <Text fw={600} id={labelId}>
        Memory to pledge
      </Text>
      <Group gap="lg" align="center" wrap="nowrap">
        <Slider
          flex={1}
          min={PLEDGE_MB_MIN}
          max={PLEDGE_MB_SLIDER_MAX}
          step={32}
          value={Math.min(pledgeMb, PLEDGE_MB_SLIDER_MAX)}
          onChange={(value) => onPledge(clampPledgeMb(value))}
          label={(value) => formatBytes(pledgeBytes(value))}
          thumbLabel="Memory to pledge, slider"
        />
        <NumberInput
          w={130}
          min={PLEDGE_MB_MIN}
          max={PLEDGE_MB_MAX}
          clampBehavior="blur"
          thousandSeparator=","
          allowDecimal={false}
          suffix=" MB"
          value={pledgeMb}
          onChange={(value) => typeof value === 'number' && onPledge(clampPledgeMb(value))}
          aria-labelledby={labelId}
        />
      </Group>
      <Text size="sm" c="dimmed">
        An upper bound: the tab takes only what its layers need. Beside its layers' weights it keeps the memory of running conversations
        there. That is GPU memory, or main memory where the processor computes: the same layers take several times as much there.
      </Text>
    </Stack>
  )
}
