/** Says when the coordinator cannot be reached, why, and when the next try is. */

import { useInterval } from '@mantine/hooks'
import { useEffect, useState } from 'react'
import type { ConnectionState } from '../peer/index.ts'
import styles from './connectionBanner.module.css'
import { usePeer } from './runtimeContext.ts'

export function ConnectionBanner() {
  const connection = usePeer((state) => state.connection)
  return (
    <div role="status" aria-live="polite">
      {connection.kind === 'offline' && <Offline connection={connection} />}
    </div>
  )
}

function Offline({ connection }: { readonly connection: Extract<ConnectionState, { kind: 'offline' }> }) {
  const seconds = useCountdown(connection)
  return (
    <div className={styles.banner}>
      <strong>Not connected.</strong> {connection.error.message}{' '}
      {Number.isFinite(connection.retryInMs) && (
        <span aria-hidden="true">{seconds > 0 ? `Trying again in ${seconds} s.` : 'Trying again now …'}</span>
      )}
    </div>
  )
}

/** Whole seconds left; starts anew with each state. */
function useCountdown(connection: { readonly retryInMs: number }): number {
  const [seconds, setSeconds] = useState(0)
  useEffect(() => setSeconds(Math.ceil(connection.retryInMs / 1000)), [connection])
  useInterval(() => setSeconds((left) => Math.max(0, left - 1)), 1000, { autoInvoke: true })
  return seconds
}
