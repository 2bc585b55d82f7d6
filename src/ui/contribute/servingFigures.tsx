/** The work of a serving tab, as figures. */

import { Text } from '@mantine/core'
import type { ServedWork } from '../../peer/index.ts'
import { formatBytes, formatMs } from '../format.ts'
import styles from './servingFigures.module.css'

export function ServingFigures({ work }: { readonly work: ServedWork }) {
  const figures = [
    { name: 'answering now', value: work.sessionsOpen.toLocaleString('en-US') },
    { name: 'sessions served', value: work.sessionsServed.toLocaleString('en-US') },
    { name: 'positions computed', value: work.positions.toLocaleString('en-US') },
    { name: 'compute a lap', value: work.lastComputeMs === null ? 'none yet' : formatMs(work.lastComputeMs) },
    { name: 'sent', value: formatBytes(work.bytesSent) },
    { name: 'memory in use', value: formatBytes(work.gpuBytes) },
  ]
  return (
    <dl className={styles.figures}>
      {figures.map(({ name, value }) => (
        <div key={name} className={styles.figure}>
          <Text component="dt" size="sm" c="dimmed">
            {name}
          </Text>
          <Text component="dd" fz={22} fw={600} m={0}>
            {value}
          </Text>
        </div>
      ))}
    </dl>
  )
}
