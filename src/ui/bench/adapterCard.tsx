/** The adapter: its name, what it offers to programs, the limits that matter here, and what it reaches at best, measured. */

import { Badge, Group, Stack, Text, Title } from '@mantine/core'
import type { SuiteAdapter } from '../../kernels/suite/index.ts'
import { FigureList } from '../figureList.tsx'
import { formatBytes } from '../format.ts'
import { Explain } from './explain.tsx'
import { formatBandwidth, formatRate } from './figures.ts'

/** Of dozens of features, those that the kernels use. */
const FEATURES: readonly { readonly id: string; readonly name: string }[] = [
  { id: 'shader-f16', name: 'half precision' },
  { id: 'subgroups', name: 'subgroups' },
  { id: 'chromium-experimental-subgroup-matrix', name: 'subgroup matrices' },
  { id: 'timestamp-query', name: 'GPU clock' },
]

export function AdapterCard({ adapter }: { readonly adapter: SuiteAdapter }) {
  const { limits } = adapter
  return (
    <Stack gap="md" component="section" aria-labelledby="adapter-title" data-testid="bench-adapter">
      <Group gap="sm">
        <Title order={2} id="adapter-title">
          {adapter.description}
        </Title>
        {adapter.software && (
          <Badge color="honey" variant="filled" tt="none">
            software adapter
          </Badge>
        )}
      </Group>
      {adapter.software && (
        <Text size="sm" maw="66ch">
          This browser has no graphics card to use, so the processor emulates one. The figures are true for this machine, and small beside
          those of a real GPU.
        </Text>
      )}
      <FigureList
        figures={[
          { name: 'copies memory at', value: formatBandwidth(adapter.copyGbPerSecond), explain: <AboutCopy /> },
          { name: 'computes at', value: formatRate(adapter.multiplyAddGflops), explain: <AboutMultiplyAdd /> },
          { name: 'largest buffer', value: formatBytes(limits.maxBufferSize) },
          { name: 'largest binding', value: formatBytes(limits.maxStorageBufferBindingSize) },
          { name: 'threads a workgroup', value: limits.maxComputeInvocationsPerWorkgroup.toLocaleString('en-US') },
          { name: 'workgroup memory', value: formatBytes(limits.maxComputeWorkgroupStorageSize) },
        ]}
      />
      <Group gap={8} role="list" aria-label="Features">
        {FEATURES.map(({ id, name }) => {
          const has = adapter.features.includes(id)
          return (
            <Badge key={id} role="listitem" tt="none" variant="outline" color="gray" c={has ? 'var(--mantine-color-text)' : 'dimmed'}>
              {has ? name : `no ${name}`}
            </Badge>
          )
        })}
        <Text size="sm" c="dimmed" role="listitem">
          {adapter.runtime}
        </Text>
      </Group>
    </Stack>
  )
}

function AboutCopy() {
  return (
    <Explain term="copy bandwidth">
      Bytes read and written each second by a program that only copies a large buffer. Writing one token reads every weight once, so this
      bounds mat-vec.
    </Explain>
  )
}

function AboutMultiplyAdd() {
  return (
    <Explain term="the multiply-add rate">
      Operations each second of a program that only multiplies and adds in registers, in 32-bit numbers. A multiply-add counts as two. It
      bounds mat-mat.
    </Explain>
  )
}
