/** What an API key or a team may use: models out of those that are served here, and pools by name. */

import { Checkbox, Group, TextInput } from '@mantine/core'
import { SCOPE_NAMES_MAX } from '../../shared/index.ts'
import { usePeer } from '../runtimeContext.ts'

/** As it stands in the form. */
export interface ScopeDraft {
  /** Empty: all. */
  readonly models: readonly string[]
  /** With commas between; empty: all. */
  readonly pools: string
}

export const ALL_SCOPE: ScopeDraft = { models: [], pools: '' }

/** Sixteen names of a hundred characters, with commas. */
const POOLS_CHARACTERS_MAX = 1_700

export interface TypedScope {
  readonly models: readonly string[] | null
  readonly pools: readonly string[] | null
}

export function typedScope({ models, pools }: ScopeDraft): TypedScope {
  const names = [...new Set(pools.split(',').map((name) => name.trim()))].filter((name) => name !== '')
  return { models: models.length === 0 ? null : models, pools: names.length === 0 ? null : names }
}

export function draftOf({ models, pools }: TypedScope): ScopeDraft {
  return { models: models ?? [], pools: pools?.join(', ') ?? '' }
}

interface ScopeFieldsProps {
  readonly scope: ScopeDraft
  readonly onChange: (scope: ScopeDraft) => void
}

export function ScopeFields({ scope, onChange }: ScopeFieldsProps) {
  const served = usePeer((state) => state.network?.swarms) ?? []
  // What is allowed and not served here now stays allowed.
  const gone = scope.models.filter((model) => !served.some(({ modelId }) => modelId === model))
  const offered = [...served.map(({ modelId, name }) => ({ id: modelId as string, name })), ...gone.map((id) => ({ id, name: id }))]
  return (
    <>
      {offered.length > 0 && (
        <Checkbox.Group
          label="Only these models"
          description="None chosen: all"
          value={[...scope.models]}
          onChange={(chosen) => onChange({ ...scope, models: chosen.slice(0, SCOPE_NAMES_MAX) })}
        >
          <Group gap="md" mt={6}>
            {offered.map(({ id, name }) => (
              <Checkbox key={id} value={id} label={name} />
            ))}
          </Group>
        </Checkbox.Group>
      )}
      <TextInput
        label="Only these pools"
        description="Names with commas between; empty: all"
        value={scope.pools}
        onChange={(event) => onChange({ ...scope, pools: event.currentTarget.value })}
        maxLength={POOLS_CHARACTERS_MAX}
        maw={420}
        autoComplete="off"
        spellCheck={false}
        data-testid="scope-pools"
      />
    </>
  )
}
