/** A group of chips, any number of which are on: a fieldset with its legend, so that a screen reader says what is chosen. */

import { Chip, Group, Text } from '@mantine/core'
import type { ReactNode } from 'react'
import styles from './choiceChips.module.css'

export interface Choice<Value extends string> {
  readonly value: Value
  readonly label: string
}

interface ChoiceChipsProps<Value extends string> {
  readonly legend: string
  readonly explain?: ReactNode
  readonly choices: readonly Choice<Value>[]
  readonly chosen: readonly Value[]
  readonly disabled: boolean
  readonly onChange: (chosen: Value[]) => void
}

export function ChoiceChips<Value extends string>({ legend, explain, choices, chosen, disabled, onChange }: ChoiceChipsProps<Value>) {
  return (
    <fieldset className={styles.group} disabled={disabled}>
      <legend className={styles.legend}>
        <Text span fw={600}>
          {legend}
        </Text>{' '}
        {explain}
      </legend>
      <Group gap={8}>
        {choices.map(({ value, label }) => (
          <Chip
            key={value}
            checked={chosen.includes(value)}
            onChange={(on) =>
              onChange(choices.map((choice) => choice.value).filter((each) => (each === value ? on : chosen.includes(each))))
            }
            variant="outline"
            radius="md"
            classNames={{ label: styles.chip ?? '' }}
          >
            {label}
          </Chip>
        ))}
      </Group>
    </fieldset>
  )
}
