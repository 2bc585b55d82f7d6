import { describe, expect, it } from 'vitest'
import { required } from '../../shared/index.ts'
import { fakeSwarm, fakeVolunteer, type VolunteerSummary } from '../testing/fakeRuntime.ts'
import { describeSwarm, layOut } from './swarmLayout.ts'

const swarmOf = (volunteers: readonly VolunteerSummary[]) => required(fakeSwarm(volunteers).swarms[0], 'swarm')
const waiting = (shortId: string) => fakeVolunteer(shortId, 0, 0, { state: 'waiting', span: null })

describe('layout of the swarm', () => {
  it('draws the bare model when nobody is there', () => {
    const layout = layOut(swarmOf([]), 600)
    expect(layout.layers).toHaveLength(30)
    expect(layout.layers.every(({ depth }) => depth === 0)).toBe(true)
    expect(layout.bands).toEqual([])
    expect(describeSwarm(swarmOf([]))).toBe('Nobody is contributing right now; 0 of 30 layers of SmolLM2 135M Instruct have a home.')
  })

  it('puts each band over its layers, side by side in one lane where they do not overlap', () => {
    const { bands, layers } = layOut(swarmOf([fakeVolunteer('aa', 0, 15), fakeVolunteer('bb', 15, 30)]), 600)
    expect(bands.map(({ x, width, y }) => [x, width, y])).toEqual([
      [0, 300, 0],
      [300, 300, 0],
    ])
    expect(layers.every(({ depth }) => depth === 1)).toBe(true)
  })

  it('gives overlapping spans lanes of their own', () => {
    const { bands, height } = layOut(swarmOf([fakeVolunteer('aa', 0, 30), fakeVolunteer('bb', 10, 20)]), 600)
    expect(new Set(bands.map(({ y }) => y)).size).toBe(2)
    expect(height).toBeGreaterThan(layOut(swarmOf([fakeVolunteer('aa', 0, 30)]), 600).height)
  })

  it('does not count a layer that is still being loaded, and shows tabs that wait as free cells', () => {
    const swarm = swarmOf([fakeVolunteer('aa', 0, 30, { state: 'loading', progress: 0.5 }), waiting('bb')])
    const { layers, cells } = layOut(swarm, 600)
    expect(layers.every(({ depth }) => depth === 0)).toBe(true)
    expect(cells.map(({ volunteer }) => volunteer.shortId)).toEqual(['bb'])
    expect(describeSwarm(swarm)).toContain('1 loading, 1 waiting; 0 of 30')
  })

  it('shows depths instead of bands for a large swarm, bounds the cells to the width, and counts the rest', () => {
    const { bands, depthMax, cells, hiddenCells } = layOut(
      swarmOf(Array.from({ length: 300 }, (_, at) => fakeVolunteer(String(at), (at % 3) * 10, (at % 3) * 10 + 10))),
      350,
    )
    expect(bands).toEqual([])
    expect(depthMax).toBe(100)
    expect(cells.every(({ x }) => x > 0 && x < 350)).toBe(true)
    expect(cells.length + hiddenCells).toBe(300)
    expect(hiddenCells).toBeGreaterThan(200)
  })
})
