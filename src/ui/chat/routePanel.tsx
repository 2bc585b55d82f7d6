/** Which tab computed which layers of the latest answer, how long it took, and what went over the wire. */

import { Badge, Group, Stack, Text, Title } from '@mantine/core'
import type { RouteStage, StageAudit } from '../../peer/index.ts'
import type { LinkKind } from '../../protocol/index.ts'
import type { SessionId } from '../../shared/index.ts'
import { formatBytes, formatMs, formatSpan } from '../format.ts'
import { usePeer } from '../runtimeContext.ts'
import styles from './routePanel.module.css'

export interface RouteFigures {
  /** Null: there is none, or not yet. */
  readonly sessionId: SessionId | null
  readonly stages: readonly RouteStage[]
  /** What leads from this tab to the first stage. */
  readonly firstLink: LinkKind | null
  /** Of the latest lap while answering. */
  readonly lapMs: number | null
  readonly timeToFirstTokenMs: number | null
  readonly tokensPerSecond: number | null
  readonly tokens: number
}

/** Of each way that frames may take. */
const LINK_WORDS: Readonly<Record<LinkKind, string>> = {
  webrtc: 'webrtc',
  turn: 'webrtc over TURN',
  relay: 'relay, sealed',
  memory: 'within the tab',
}

export function RoutePanel({ figures }: { readonly figures: RouteFigures | null }) {
  return (
    <Stack gap="md" data-testid="route-panel">
      <Title order={2}>Who computes</Title>
      {figures === null ? (
        <Text size="sm" c="dimmed">
          Once you ask, this shows the tabs that your question travels through: which layers each holds, its time for each lap, and the
          bytes it sends.
        </Text>
      ) : (
        <Route figures={figures} />
      )}
    </Stack>
  )
}

function Route({ figures }: { readonly figures: RouteFigures }) {
  const { stages } = figures
  const slowestMs = Math.max(...stages.map(({ computeMsPerLap }) => computeMsPerLap ?? 0), 0)
  const layerCount = stages.at(-1)?.endLayer ?? 1
  return (
    <>
      <ol className={styles.stages}>
        {stages.map((stage) => (
          <Stage key={stage.firstLayer} sessionId={figures.sessionId} stage={stage} slowestMs={slowestMs} layerCount={layerCount} />
        ))}
      </ol>
      <Summary figures={figures} />
    </>
  )
}

interface StageProps {
  readonly sessionId: SessionId | null
  readonly stage: RouteStage
  readonly slowestMs: number
  readonly layerCount: number
}

function Stage({ sessionId, stage, slowestMs, layerCount }: StageProps) {
  const own = usePeer((state) => state.contributingAs) === stage.peerId
  const audits = usePeer((state) => (sessionId === null ? undefined : state.audits.get(sessionId)))
  const audit = audits?.find(({ peerId }) => peerId === stage.peerId)
  const { firstLayer, endLayer, computeMsPerLap, link } = stage
  const share = slowestMs === 0 || computeMsPerLap === null ? 0 : computeMsPerLap / slowestMs
  const percentOf = (layer: number) => `${(100 * layer) / layerCount}%`
  return (
    <li className={own ? `${styles.stage} ${styles.own}` : styles.stage}>
      <Group justify="space-between" gap={6}>
        <Text fw={600} size="sm">
          {own ? 'This tab' : `Tab ${stage.peerId.slice(0, 4)}`}
        </Text>
        <Text size="sm">{formatSpan(stage)}</Text>
      </Group>
      <div className={styles.strip} aria-hidden="true">
        <span className={styles.span} style={{ left: percentOf(firstLayer), width: percentOf(endLayer - firstLayer) }} />
      </div>
      <Text size="xs" c="dimmed">
        {stage.engine === 'cpu' ? 'CPU engine on ' : ''}
        {stage.adapter}
      </Text>
      <Group gap={8} wrap="nowrap">
        <div className={styles.time} aria-hidden="true">
          <span style={{ width: `${100 * share}%` }} />
        </div>
        <Text size="sm" className={styles.figure ?? ''}>
          {computeMsPerLap === null ? 'no lap yet' : `${formatMs(computeMsPerLap)} a lap`}
        </Text>
      </Group>
      <Group gap={8}>
        <Badge size="sm" variant="outline" tt="none" color="gray" c="var(--mantine-color-text)">
          {LINK_WORDS[link.kind]}
        </Badge>
        <Text size="xs" c="dimmed">
          {formatBytes(link.bytesSent)} sent
        </Text>
      </Group>
      {audit !== undefined && (
        <Text size="xs" c={audit.verdict === 'failed' ? 'var(--mantine-color-error)' : 'dimmed'} role="status" data-testid="stage-audit">
          {describeAudit(audit)}
        </Text>
      )}
    </li>
  )
}

const AUDIT_WORDS: Readonly<Record<StageAudit['verdict'], string>> = {
  valid: 'and is right',
  failed: 'and is wrong: this stage is not paid',
  unanswered: 'in vain: this stage did not hand it over, and is not paid',
  undecided: 'in vain: nobody could say whether it is right',
}

/** Who computed this stage's part again, and what was found. */
function describeAudit({ auditors, verdict }: StageAudit): string {
  const names = auditors.map(({ peerId }) => (peerId === null ? 'the coordinator' : `tab ${peerId.slice(0, 4)}`))
  return `Was audited${names.length === 0 ? '' : ` by ${names.join(' and ')}`}, ${AUDIT_WORDS[verdict]}.`
}

function Summary({ figures }: { readonly figures: RouteFigures }) {
  const rows = [
    ['tokens', String(figures.tokens)],
    ['to the first tab', figures.firstLink === null ? null : LINK_WORDS[figures.firstLink]],
    ['latest lap', figures.lapMs === null ? null : formatMs(figures.lapMs)],
    ['first token after', figures.timeToFirstTokenMs === null ? null : formatMs(figures.timeToFirstTokenMs)],
    ['tokens a second', figures.tokensPerSecond === null ? null : figures.tokensPerSecond.toFixed(1)],
    ['bytes on the wire', formatBytes(figures.stages.reduce((sum, { link }) => sum + link.bytesSent, 0))],
  ] as const
  return (
    <dl className={styles.summary}>
      {rows.map(([name, value]) =>
        value === null ? null : (
          <div key={name}>
            <dt>{name}</dt>
            <dd>{value}</dd>
          </div>
        ),
      )}
    </dl>
  )
}
