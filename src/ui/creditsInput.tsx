/** A field for an amount of credits, which says so where its text is none. */

import { TextInput } from '@mantine/core'
import { parseCredits } from '../shared/index.ts'

interface CreditsInputProps {
  readonly label: string
  readonly description?: string
  readonly value: string
  readonly onChange: (text: string) => void
  readonly testId: string
}

export function CreditsInput({ label, description, value, onChange, testId }: CreditsInputProps) {
  return (
    <TextInput
      label={label}
      description={description}
      value={value}
      onChange={(event) => onChange(event.currentTarget.value)}
      error={typedCredits(value) === 'wrong' ? 'A positive number with at most six decimals' : null}
      inputMode="decimal"
      autoComplete="off"
      data-testid={testId}
    />
  )
}

/** Micro-credits; `empty` where nothing is typed. */
export function typedCredits(text: string): bigint | 'empty' | 'wrong' {
  const typed = text.trim()
  return typed === '' ? 'empty' : (parseCredits(typed) ?? 'wrong')
}
