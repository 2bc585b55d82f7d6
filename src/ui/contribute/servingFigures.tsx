/** The work of a serving tab, as figures. */

import type { ServedWork } from '../../peer/index.ts'
import { FigureList } from '../figureList.tsx'
import { formatBytes, formatMs } from '../format.ts'

export function ServingFigures({ work }: { readonly work: ServedWork }) {
  return (
    <FigureList
      figures={[
        { name: 'answering now', value: work.sessionsOpen.toLocaleString('en-US') },
        { name: 'sessions served', value: work.sessionsServed.toLocaleString('en-US') },
        { name: 'positions computed', value: work.positions.toLocaleString('en-US') },
        { name: 'compute a lap', value: work.lastComputeMs === null ? 'none yet' : formatMs(work.lastComputeMs) },
        { name: 'sent', value: formatBytes(work.bytesSent) },
        { name: 'memory in use', value: formatBytes(work.gpuBytes) },
      ]}
    />
  )
}
