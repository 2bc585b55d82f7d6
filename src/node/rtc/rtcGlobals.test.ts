import { expect, it } from 'vitest'
import { withSeconds } from './rtcGlobals.ts'

it('tells round trips in seconds, and none where nothing was measured', () => {
  const pair = { type: 'candidate-pair', nominated: true, totalRoundTripTime: 12, currentRoundTripTime: 12 }
  const report = withSeconds(
    new Map<string, object>([
      ['measured', pair],
      ['not yet', { ...pair, currentRoundTripTime: -1 }],
      ['other', { type: 'transport', bytesSent: 7 }],
    ]),
  )
  expect([...report]).toEqual([
    ['measured', { type: 'candidate-pair', nominated: true, currentRoundTripTime: 0.012 }],
    ['not yet', { type: 'candidate-pair', nominated: true }],
    ['other', { type: 'transport', bytesSent: 7 }],
  ])
})
