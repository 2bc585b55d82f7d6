import { expect, it } from 'vitest'
import type { ChainStage } from '../protocol/index.ts'
import type { PeerId } from '../shared/index.ts'
import { Route } from './route.ts'

const stage = (peerId: string, firstLayer: number, endLayer: number): ChainStage => ({
  peerId: peerId as PeerId,
  firstLayer,
  endLayer,
  engine: 'wasm',
  adapter: 'CPU',
})
const lap = { stageIndex: 0, firstPosition: 4, rowCount: 1, kind: 'decode', computeMs: 7, bytesSent: 9, linkKind: 'turn' } as const

it('a stage that goes on with other layers in another chain keeps its times, and is told with the layers that it has now', () => {
  const route = new Route()
  route.begin([stage('a', 0, 20), stage('b', 20, 30)])
  route.lap(lap)
  route.begin([stage('a', 0, 22), stage('c', 22, 30)])
  expect(route.stages()).toMatchObject([
    { peerId: 'a', firstLayer: 0, endLayer: 22, computeMsPerLap: 7, link: { kind: 'turn', bytesSent: 9 } },
    { peerId: 'c', firstLayer: 22, endLayer: 30, computeMsPerLap: null },
  ])
})
