/** What the swarm is doing for a question, in words. */

import type { AskProgress } from '../../peer/index.ts'
import { formatCount, formatMs } from '../format.ts'

/** Null: the question has not left this tab's runtime yet. */
export function phaseInWords(progress: AskProgress | null): string {
  if (progress === null) return 'Sending'
  const repair = progress.repairs.at(-1)
  if (repair !== undefined && repair.doneMs === null && repair.reason === 'draining')
    return 'Handing over: a tab is about to stop, another one takes its place'
  if (repair !== undefined && repair.doneMs === null)
    return `Repairing: a tab was lost, others compute ${formatCount(repair.replayedPositions ?? repair.positions, 'position')} again`
  switch (progress.phase) {
    case 'queued':
      return progress.ahead === null ? 'Waiting for a place' : `Waiting for a place, ${placeInWords(progress.ahead)}`
    case 'connecting':
      return progress.route.length === 0 ? 'Connecting' : `Connecting to ${formatCount(progress.route.length, 'tab')}`
    case 'reading':
      return `Reading your prompt, ${progress.promptDone} of ${formatCount(progress.promptTokens, 'token')}`
    case 'answering':
      return `Answering, ${formatCount(progress.completionTokens, 'token')}${progress.lastLapMs === null ? '' : `, ${formatMs(progress.lastLapMs)} a lap`}`
  }
}

function placeInWords(ahead: number): string {
  return ahead === 0 ? 'next in line' : `${formatCount(ahead, 'question')} before yours`
}
