/** What audits found of this tab's work: passed in a row, the last verdicts, and a clear word where one failed. */

import { List, Stack, Text, Title } from '@mantine/core'
import type { AuditVerdict } from '../../peer/index.ts'
import { formatCount } from '../format.ts'
import { RedNote } from '../redNote.tsx'
import { usePeer } from '../runtimeContext.ts'
import { type Alarm, alarmOf, describeStanding, describeVerdict } from './auditWords.ts'

/** Of the last verdicts: a glance, no record. */
const LISTED_MAX = 5

export function AuditsPanel() {
  const standing = usePeer((state) => state.account?.standing ?? null)
  const verdicts = usePeer((state) => state.verdicts)
  if (standing === null) return null
  const alarm = alarmOf(verdicts, standing)
  return (
    <Stack component="section" gap="md" aria-labelledby="audits-title" data-testid="audits">
      <Title order={2} id="audits-title">
        Whether it is right
      </Title>
      {alarm !== null && <AlarmNote alarm={alarm} />}
      <Stack gap={4}>
        <Text fw={600} data-testid="audits-in-a-row">
          {formatCount(standing.validInARow, 'audit')} passed in a row
        </Text>
        <Text size="sm" c="dimmed" maw="66ch">
          Answers that you compute for are computed again by others, and compared. {describeStanding(standing)}
        </Text>
      </Stack>
      {verdicts.length > 0 && <LastVerdicts verdicts={verdicts} />}
    </Stack>
  )
}

function AlarmNote({ alarm: { title, lines } }: { readonly alarm: Alarm }) {
  return (
    <RedNote title={title} testId="audit-alarm">
      <Stack gap="xs">
        {lines.map((line) => (
          <Text key={line} size="sm" maw="66ch">
            {line}
          </Text>
        ))}
      </Stack>
    </RedNote>
  )
}

/** Newest first. */
function LastVerdicts({ verdicts }: { readonly verdicts: readonly AuditVerdict[] }) {
  return (
    <List size="sm" spacing={4} listStyleType="none" aria-label="The last audits" data-testid="verdicts">
      {verdicts
        .slice(-LISTED_MAX)
        .toReversed()
        .map((verdict) => (
          <List.Item key={`${verdict.sessionId}/${verdict.role}/${verdict.atMs}`}>
            <Text span size="sm" c="dimmed" mr="sm">
              {TIME.format(verdict.atMs)}
            </Text>
            {describeVerdict(verdict)}
          </List.Item>
        ))}
    </List>
  )
}

const TIME = new Intl.DateTimeFormat('en-GB', { hour: '2-digit', minute: '2-digit' })
