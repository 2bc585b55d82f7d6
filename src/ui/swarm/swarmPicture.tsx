/** The swarm, visible: the model as a strip of layers, each tab a cell with the band of its layers. Layout: swarmLayout.ts. */

import { useElementSize } from '@mantine/hooks'
import { formatPercent, formatSpan } from '../format.ts'
import {
  type Band,
  CELL_RADIUS,
  DEPTH_HEIGHT,
  describeSwarm,
  type FreeCell,
  type Layer,
  layOut,
  STRIP_HEIGHT,
  type SwarmLayout,
  type SwarmSummary,
  type VolunteerSummary,
} from './swarmLayout.ts'
import styles from './swarmPicture.module.css'

/** Before the element is measured nothing is drawn; its height, which hardly depends on the width, is kept free. */
const WIDTH_MIN = 200
const WAITING = 'waiting for layers'
/** Characters of 11 px need about this much room. */
const CHARACTER_WIDTH = 6.6

export function SwarmPicture({ swarm, ownShortId }: { readonly swarm: SwarmSummary; readonly ownShortId: string | null }) {
  const { ref, width: measured } = useElementSize<HTMLDivElement>()
  const width = Math.max(measured, WIDTH_MIN)
  const layout = layOut(swarm, width)
  const isOwn = (volunteer: VolunteerSummary) => volunteer.shortId === ownShortId
  const lastCell = layout.cells.at(-1)
  return (
    <div ref={ref} className={styles.frame} style={{ height: layout.height }}>
      {measured > 0 && (
        // Scaled, so that a frame that has just become narrower cuts nothing off before it is measured again.
        <svg
          viewBox={`0 0 ${width} ${layout.height}`}
          preserveAspectRatio="xMinYMin meet"
          width="100%"
          height={layout.height}
          role="img"
          aria-label={describeSwarm(swarm)}
          className={styles.picture}
        >
          {layout.depthMax !== null && <Depths layout={layout} depthMax={layout.depthMax} />}
          {layout.bands.map((band) => (
            <BandWithCell key={band.volunteer.shortId} band={band} own={isOwn(band.volunteer)} width={width} />
          ))}
          {layout.layers.map((layer) => (
            <LayerSlot key={layer.layer} layer={layer} y={layout.stripY} />
          ))}
          <text x={0} y={layout.stripY + STRIP_HEIGHT + 17} className={styles.label}>
            layer 1
          </text>
          <text x={width} y={layout.stripY + STRIP_HEIGHT + 17} textAnchor="end" className={styles.label}>
            {swarm.layerCount}
          </text>
          {layout.cells.map((cell) => (
            <Free key={cell.volunteer.shortId} cell={cell} own={isOwn(cell.volunteer)} />
          ))}
          {swarm.volunteers.every(({ span }) => span === null) && <NoHost stripY={layout.stripY} />}
          {layout.depthMax === null && lastCell !== undefined && lastCell.x + CELL_RADIUS + WAITING.length * CHARACTER_WIDTH < width && (
            <text x={lastCell.x + CELL_RADIUS + 8} y={lastCell.y + 4} className={styles.label}>
              {WAITING}
            </text>
          )}
          {layout.hiddenCells > 0 && (
            <text x={width} y={layout.height - 4} textAnchor="end" className={styles.label}>
              and {layout.hiddenCells} more
            </text>
          )}
        </svg>
      )}
    </div>
  )
}

function LayerSlot({ layer, y }: { readonly layer: Layer; readonly y: number }) {
  const gap = layer.width > 5 ? 2 : 0.5
  return (
    <rect
      x={layer.x + gap / 2}
      y={y}
      width={Math.max(0.5, layer.width - gap)}
      height={STRIP_HEIGHT}
      rx={Math.min(3, layer.width / 3)}
      className={layer.depth > 0 ? styles.layerHome : styles.layerHomeless}
    />
  )
}

/** The place of the first tab, kept free for it. */
function NoHost({ stripY }: { readonly stripY: number }) {
  return (
    <g>
      <Hexagon x={CELL_RADIUS + 2} y={stripY - 30} look="ghost" />
      <text x={2 * CELL_RADIUS + 9} y={stripY - 26} className={styles.label}>
        no tab holds a layer yet
      </text>
    </g>
  )
}

function Depths({ layout, depthMax }: { readonly layout: SwarmLayout; readonly depthMax: number }) {
  const room = DEPTH_HEIGHT - 20
  return (
    <g>
      <text x={0} y={12} className={styles.label}>
        tabs for each layer, {depthMax} at most
      </text>
      {layout.layers.map(({ layer, x, width, depth }) => {
        const height = (depth / depthMax) * room
        return (
          <rect
            key={layer}
            x={x + 1}
            y={DEPTH_HEIGHT - height}
            width={Math.max(0.5, width - 2)}
            height={height}
            rx={2}
            className={styles.band}
          />
        )
      })}
    </g>
  )
}

function BandWithCell({ band, own, width }: { readonly band: Band; readonly own: boolean; readonly width: number }) {
  const { volunteer, x, y } = band
  const bandY = y + 38
  const centre = x + band.width / 2
  const progress = volunteer.state === 'loading' ? Math.min(1, volunteer.progress) : volunteer.state === 'serving' ? 1 : 0
  const name = own ? 'this tab' : volunteer.shortId.slice(0, 4)
  const status = volunteer.state === 'loading' ? formatPercent(progress, 1) : volunteer.state === 'away' ? 'away' : rangeOf(volunteer)
  const wide = band.width >= 2 * CELL_RADIUS + 12 + Math.max(name.length, status.length) * CHARACTER_WIDTH
  const cellX = wide ? x + CELL_RADIUS + 2 : Math.min(Math.max(centre, CELL_RADIUS + 1), width - CELL_RADIUS - 1)
  return (
    <g className={own ? styles.own : undefined}>
      <title>{`${name}: ${volunteer.state}, ${volunteer.span === null ? '' : formatSpan(volunteer.span)}; ${volunteer.adapter}`}</title>
      <rect x={x + 1} y={bandY} width={Math.max(1, band.width - 2)} height={14} rx={4} className={styles.bandBase} />
      {progress > 0 && (
        <rect x={x + 1} y={bandY} width={Math.max(1, (band.width - 2) * progress)} height={14} rx={4} className={styles.band} />
      )}
      <Hexagon x={cellX} y={y + 19} look={volunteer.state === 'serving' ? 'cell' : 'cellHollow'} />
      {wide && (
        <>
          <text x={cellX + CELL_RADIUS + 5} y={y + 16} className={styles.name}>
            {name}
          </text>
          <text x={cellX + CELL_RADIUS + 5} y={y + 30} className={styles.label}>
            {status}
          </text>
        </>
      )}
    </g>
  )
}

function rangeOf({ span }: VolunteerSummary): string {
  return span === null ? '' : `${span.firstLayer + 1}–${span.endLayer}`
}

function Free({ cell, own }: { readonly cell: FreeCell; readonly own: boolean }) {
  const { volunteer, x, y } = cell
  return (
    <g className={own ? styles.own : undefined}>
      <title>{`${own ? 'this tab' : volunteer.shortId}: ${volunteer.state}; ${volunteer.adapter}`}</title>
      <Hexagon x={x} y={y} look={volunteer.state === 'serving' ? 'cell' : 'cellHollow'} />
    </g>
  )
}

function Hexagon({ x, y, look }: { readonly x: number; readonly y: number; readonly look: 'cell' | 'cellHollow' | 'ghost' }) {
  const points = Array.from({ length: 6 }, (_, corner) => {
    const angle = (Math.PI / 3) * corner + Math.PI / 6
    return `${(x + CELL_RADIUS * Math.cos(angle)).toFixed(1)},${(y + CELL_RADIUS * Math.sin(angle)).toFixed(1)}`
  })
  return <polygon points={points.join(' ')} className={styles[look]} />
}
