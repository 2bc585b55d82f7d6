/** Figures side by side, each large above its name: what a tab serves, what an adapter reaches, how fast a model is. */

import { Text } from '@mantine/core'
import type { ReactNode } from 'react'
import styles from './figureList.module.css'

export interface Figure {
  /** What tells it from the list's others. */
  readonly name: string
  readonly value: string
  /** A button behind the name that says what it means. */
  readonly explain?: ReactNode
  /** A line below the name, smaller. */
  readonly note?: string
}

interface FigureListProps {
  readonly figures: readonly Figure[]
  /** Where the page is wide; two on a phone. */
  readonly columns?: 3 | 4
}

export function FigureList({ figures, columns = 3 }: FigureListProps) {
  return (
    <dl className={columns === 4 ? `${styles.figures} ${styles.four}` : styles.figures}>
      {figures.map(({ name, value, explain, note }) => (
        <div key={name} className={styles.figure}>
          <Text component="dt" size="sm" c="dimmed">
            {name}
            {explain !== undefined && <>&nbsp;{explain}</>}
            {note !== undefined && (
              <Text span display="block" size="xs">
                {note}
              </Text>
            )}
          </Text>
          <Text component="dd" fz={{ base: 17, sm: 22 }} fw={600} m={0}>
            {value}
          </Text>
        </div>
      ))}
    </dl>
  )
}
