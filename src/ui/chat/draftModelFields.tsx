/** Models that this tab may draft with: what each takes before it is loaded, how far it is, and the switch that frees it again. */

import { Stack, Switch, Text } from '@mantine/core'
import type { DraftModelOffer, DraftModelState } from '../../peer/index.ts'
import { ErrorNote } from '../errorNote.tsx'
import { formatBytes, formatPercent } from '../format.ts'
import { usePeer, useServices } from '../runtimeContext.ts'

export function DraftModelFields() {
  const offers = usePeer((state) => state.draftOffers)
  const draftModel = usePeer((state) => state.draftModel)
  if (offers.length === 0) return null
  return (
    <Stack gap="xs">
      <Text size="sm" fw={600}>
        Draft model
      </Text>
      <Text size="xs" c="dimmed">
        A small model in this tab guesses the next words, and the swarm checks several at once. Answers stay the same and come sooner where
        the way to the other tabs is long.
      </Text>
      {offers.map((offer) => (
        <Offer key={offer.modelId} offer={offer} state={stateOf(offer, draftModel)} />
      ))}
    </Stack>
  )
}

/** One model is loaded at a time. */
function stateOf({ modelId }: DraftModelOffer, state: DraftModelState): DraftModelState {
  return state.kind !== 'off' && state.modelId === modelId ? state : { kind: 'off' }
}

function Offer({ offer, state }: { readonly offer: DraftModelOffer; readonly state: DraftModelState }) {
  const { runtime } = useServices()
  const isOn = state.kind === 'loading' || state.kind === 'ready'
  return (
    <>
      <Switch
        label={offer.name}
        description={stateInWords(offer, state)}
        checked={isOn}
        onChange={() => (isOn ? runtime.unloadDraftModel() : runtime.loadDraftModel(offer.modelId))}
        data-testid="draft-model"
        data-state={state.kind}
      />
      {state.kind === 'failed' && <ErrorNote title="It cannot draft" error={state.error} />}
    </>
  )
}

function stateInWords({ fileBytes }: DraftModelOffer, state: DraftModelState): string {
  switch (state.kind) {
    case 'off':
    case 'failed':
      return `${formatBytes(fileBytes)}, downloaded once and kept in this browser`
    case 'loading':
      return `Loading ${formatBytes(state.bytesTotal)}, ${formatPercent(state.bytesLoaded, state.bytesTotal)}`
    case 'ready':
      return `Ready, ${formatBytes(state.memoryBytes)} of memory in use on ${state.adapter}`
  }
}
