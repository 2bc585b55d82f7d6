/** The roofline plot: what each case reached, under what this adapter allows. Layout: rooflineLayout.ts; the table says the same in figures. */

import { useElementSize } from '@mantine/hooks'
import { formatBandwidth, formatRate } from './figures.ts'
import { layOutRoofline, type PlotPoint, type Roof, type RooflineLayout, type RooflineRun } from './rooflineLayout.ts'
import styles from './rooflinePlot.module.css'

export interface PlotMark {
  /** How a point is drawn; one for each kernel. */
  readonly shape: 'circle' | 'square' | 'diamond'
  /** Read out when the pointer rests on it. */
  readonly title: string
}

interface RooflinePlotProps {
  readonly runs: readonly RooflineRun[]
  readonly roof: Roof | null
  /** By a run's id. */
  readonly marks: ReadonlyMap<string, PlotMark>
}

const WIDTH_MIN = 260
const RADIUS = 5.5
/** A label above the roof needs so much between it and the frame. */
const LABEL_ROOM = 20
/** Half the width of the last label, which would otherwise be cut at the edge. */
const EDGE_LABEL = 4

export function RooflinePlot({ runs, roof, marks }: RooflinePlotProps) {
  const { ref, width: measured } = useElementSize<HTMLDivElement>()
  const layout = layOutRoofline(runs, roof, Math.max(measured, WIDTH_MIN))
  return (
    <div ref={ref} className={styles.frame} style={{ minHeight: layout.height }}>
      {measured > 0 && (
        <svg width={measured} height={layout.height} role="img" aria-label={describe(runs, roof)} className={styles.plot}>
          <Axes layout={layout} />
          {layout.roof !== null && roof !== null && <RoofLine layout={layout} points={layout.roof} roof={roof} />}
          {layout.points.map((point) => (
            <Point key={point.id} point={point} mark={marks.get(point.id)} />
          ))}
        </svg>
      )}
    </div>
  )
}

function describe(runs: readonly RooflineRun[], roof: Roof | null): string {
  const rates = runs.map(({ gflops }) => gflops)
  const reached = rates.length === 0 ? '' : ` from ${formatRate(Math.min(...rates))} to ${formatRate(Math.max(...rates))}`
  const limits = roof === null ? '' : ` The roof: ${formatBandwidth(roof.gbPerSecond)} and ${formatRate(roof.gflops)}.`
  return `Roofline plot of ${runs.length} cases${reached}.${limits} The table holds the same figures.`
}

function Axes({ layout: { plot, xTicks, yTicks, height } }: { readonly layout: RooflineLayout }) {
  const middle = (plot.left + plot.right) / 2
  return (
    <g>
      {xTicks.map(({ at, label }) => (
        <g key={at}>
          <line x1={at} x2={at} y1={plot.top} y2={plot.bottom} className={label === null ? styles.minor : styles.major} />
          {label !== null && (
            <text x={Math.min(at, plot.right - EDGE_LABEL)} y={plot.bottom + 16} textAnchor="middle" className={styles.label}>
              {label}
            </text>
          )}
        </g>
      ))}
      {yTicks.map(({ at, label }) => (
        <g key={at}>
          <line x1={plot.left} x2={plot.right} y1={at} y2={at} className={label === null ? styles.minor : styles.major} />
          {label !== null && (
            <text x={plot.left - 6} y={at + 4} textAnchor="end" className={styles.label}>
              {label}
            </text>
          )}
        </g>
      ))}
      <text x={middle} y={height - 6} textAnchor="middle" className={styles.label}>
        operations for each byte read, FLOP/B
      </text>
      <text x={plot.left + 6} y={plot.top + 14} className={styles.unit}>
        GFLOP/s
      </text>
    </g>
  )
}

function RoofLine({ layout: { plot }, points, roof }: { readonly layout: RooflineLayout; readonly points: string; readonly roof: Roof }) {
  const ridge = points.split(' ')[1]?.split(',').map(Number) ?? []
  const [ridgeX = plot.right, ridgeY = plot.top] = ridge
  const above = ridgeY - plot.top >= LABEL_ROOM
  return (
    <g>
      <polyline points={points} className={styles.roof}>
        <title>{`what this adapter allows: ${formatBandwidth(roof.gbPerSecond)}, ${formatRate(roof.gflops)}`}</title>
      </polyline>
      <text
        x={Math.min(ridgeX + 6, plot.right)}
        y={above ? ridgeY - 7 : ridgeY + 16}
        textAnchor={ridgeX + 120 > plot.right ? 'end' : 'start'}
        className={styles.roofLabel}
      >
        {formatRate(roof.gflops)}
      </text>
    </g>
  )
}

function Point({ point: { x, y, baselineY }, mark }: { readonly point: PlotPoint; readonly mark: PlotMark | undefined }) {
  return (
    <g>
      {baselineY !== null && (
        <>
          <line x1={x} x2={x} y1={y} y2={baselineY} className={styles.between} />
          <circle cx={x} cy={baselineY} r={RADIUS - 1.5} className={styles.baseline} />
        </>
      )}
      <Marker x={x} y={y} shape={mark?.shape ?? 'circle'} title={mark?.title ?? ''} />
    </g>
  )
}

export function Marker({ x, y, shape, title }: PlotMark & { readonly x: number; readonly y: number }) {
  const name = <title>{title}</title>
  switch (shape) {
    case 'circle':
      return (
        <circle cx={x} cy={y} r={RADIUS} className={styles.circle}>
          {name}
        </circle>
      )
    case 'square':
      return (
        <rect x={x - RADIUS + 0.5} y={y - RADIUS + 0.5} width={2 * RADIUS - 1} height={2 * RADIUS - 1} className={styles.square}>
          {name}
        </rect>
      )
    case 'diamond':
      return (
        <path
          d={`M${x} ${y - RADIUS - 1}l${RADIUS + 1} ${RADIUS + 1}l${-RADIUS - 1} ${RADIUS + 1}l${-RADIUS - 1} ${-RADIUS - 1}z`}
          className={styles.diamond}
        >
          {name}
        </path>
      )
  }
}

interface LegendProps {
  readonly entries: readonly { readonly shape: PlotMark['shape']; readonly name: string }[]
  readonly withBaseline: boolean
}

export function Legend({ entries, withBaseline }: LegendProps) {
  return (
    <ul className={styles.legend} aria-label="Marks of the plot">
      {entries.map(({ shape, name }) => (
        <li key={name}>
          <svg width="16" height="16" aria-hidden="true">
            <Marker x={8} y={8} shape={shape} title="" />
          </svg>
          {name}
        </li>
      ))}
      {withBaseline && (
        <li>
          <svg width="16" height="16" aria-hidden="true">
            <circle cx={8} cy={8} r={RADIUS - 1.5} className={styles.baseline} />
          </svg>
          the same in ONNX Runtime
        </li>
      )}
      <li>
        <svg width="24" height="16" aria-hidden="true">
          <line x1={0} x2={24} y1={8} y2={8} className={styles.roof} />
        </svg>
        what the adapter allows
      </li>
    </ul>
  )
}
