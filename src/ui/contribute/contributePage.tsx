/** Contribute: consent in plain words, one button, then what this tab does in every state. */

import { Paper, Stack, Text } from '@mantine/core'
import { useState } from 'react'
import { readBrowser } from '../browser.ts'
import { Page } from '../page.tsx'
import { RedNote } from '../redNote.tsx'
import { usePeer, useServices } from '../runtimeContext.ts'
import { NetworkCard } from '../swarm/networkCard.tsx'
import { AuditsPanel } from './auditsPanel.tsx'
import { Consent } from './consent.tsx'
import { EarningsPanel } from './earningsPanel.tsx'
import { initialEngine, initialPledgeMb, pledgeBytes, wasmPledgeMb, yieldsToOthers } from './pledge.ts'
import { StoragePanel } from './storagePanel.tsx'
import { VolunteerPanel } from './volunteerPanel.tsx'

export function ContributePage() {
  const { runtime } = useServices()
  const volunteer = usePeer((state) => state.volunteer)
  const [browser] = useState(readBrowser)
  const [pledgeMb, setPledgeMb] = useState(() => initialPledgeMb(browser))
  const start = () => {
    const wasmMb = wasmPledgeMb(browser)
    runtime.contribute({
      pledgeBytes: pledgeBytes(pledgeMb),
      ...(wasmMb !== null && { pledgeBytesWasm: pledgeBytes(wasmMb) }),
      engine: initialEngine(browser),
      yieldsToOthers: yieldsToOthers(browser),
    })
  }
  return (
    <Page title="Lend this tab’s GPU">
      {!browser.secure && <InsecureNote hostname={browser.hostname} />}
      <Paper withBorder p={{ base: 'md', sm: 'xl' }} component="section" aria-label="This tab">
        <Stack gap="lg" data-testid="volunteer-state" data-state={volunteer.kind} mih={220}>
          {volunteer.kind === 'off' ? (
            <Consent pledgeMb={pledgeMb} onPledge={setPledgeMb} onStart={start} />
          ) : (
            <VolunteerPanel
              volunteer={volunteer}
              pledgeMb={pledgeMb}
              onRetry={start}
              onResume={() => runtime.resumeContributing()}
              onStop={() => runtime.stopContributing()}
            />
          )}
        </Stack>
      </Paper>
      <EarningsPanel />
      <AuditsPanel />
      <NetworkCard title="Where it fits in" />
      <StoragePanel />
    </Page>
  )
}

function InsecureNote({ hostname }: { readonly hostname: string }) {
  return (
    <RedNote title="This address is not secure">
      <Text size="sm">
        Browsers give a page the GPU only over https, or on the machine that serves it. You opened http://{hostname}. Ask whoever runs this
        coordinator for its https address; it is started with <code>--https</code>.
      </Text>
    </RedNote>
  )
}
