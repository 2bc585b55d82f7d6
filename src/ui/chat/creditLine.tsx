/** What the reader has to spend, and what the model costs: before anything is asked. */

import { Anchor, Text } from '@mantine/core'
import { Link } from 'wouter'
import { formatCredits, type Tier } from '../../shared/index.ts'
import { usePeer } from '../runtimeContext.ts'
import { atTier, TIER_PLACES } from './tiers.ts'

export function CreditLine({ tier }: { readonly tier: Tier }) {
  const spendable = usePeer((state) => state.account?.spendable)
  const price = usePeer((state) => {
    const modelId = state.defaultModelId ?? state.network?.swarms[0]?.modelId
    return modelId === undefined ? undefined : state.prices.get(modelId)
  })
  if (spendable === undefined && price === undefined) return null
  return (
    <Text fz={13} mt={8} lh={1.4}>
      {spendable !== undefined && (
        <>
          You have{' '}
          <Anchor component={Link} href="/account" inherit underline="always" data-testid="chat-balance">
            {formatCredits(spendable)} credits
          </Anchor>
          .{' '}
        </>
      )}
      {price !== undefined && (
        <span data-testid="chat-price">
          A million tokens cost {formatCredits(atTier(price.decode, price.tiers[tier]))} credits in an answer,{' '}
          {formatCredits(atTier(price.prompt, price.tiers[tier]))} in a question{TIER_PLACES[tier]}.
        </span>
      )}
    </Text>
  )
}
