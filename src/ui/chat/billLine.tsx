/** What an answer is held at, and what it cost once it is settled. */

import { Text } from '@mantine/core'
import { formatCredits, type SessionId } from '../../shared/index.ts'
import { usePeer } from '../runtimeContext.ts'

/** Nothing where nobody pays, or the answer was not admitted. */
export function BillLine({ sessionId }: { readonly sessionId: SessionId | null }) {
  const bill = usePeer((state) => (sessionId === null ? undefined : state.bills.get(sessionId)))
  if (bill === undefined) return null
  return (
    <Text size="sm" c="dimmed" mt={6} role="status" data-testid="bill" data-settled={bill.charged !== null}>
      {bill.charged === null
        ? `${formatCredits(bill.held)} credits are set aside; what it does not cost comes back.`
        : `Cost ${formatCredits(bill.charged)} credits, of ${formatCredits(bill.held)} that were set aside.`}
    </Text>
  )
}
