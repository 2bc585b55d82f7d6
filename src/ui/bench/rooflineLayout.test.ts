import { describe, expect, it } from 'vitest'
import { required } from '../../shared/index.ts'
import { layOutRoofline, type RooflineRun } from './rooflineLayout.ts'

const WIDTH = 800
const run = (id: string, gflops: number, gbPerSecond: number, baselineGflops: number | null = null): RooflineRun => ({
  id,
  gflops,
  gbPerSecond,
  baselineGflops,
})
const point = (layout: ReturnType<typeof layOutRoofline>, id: string) =>
  required(
    layout.points.find((each) => each.id === id),
    id,
  )
const corners = (polyline: string | null) =>
  required(polyline, 'roof')
    .split(' ')
    .map((pair) => pair.split(',').map(Number))

describe('roofline layout', () => {
  it('puts more operations a byte to the right and more operations a second higher, by equal steps for equal factors', () => {
    const layout = layOutRoofline([run('low', 1, 1), run('middle', 10, 1), run('high', 100, 1)], null, WIDTH)
    const [low, middle, high] = [point(layout, 'low'), point(layout, 'middle'), point(layout, 'high')]
    expect(middle.x - low.x).toBeCloseTo(high.x - middle.x, 6)
    expect(low.y - middle.y).toBeCloseTo(middle.y - high.y, 6)
    expect(high.y).toBeLessThan(low.y)
  })

  it('draws the roof through the bandwidth below the ridge, and flat behind it', () => {
    const roof = { gbPerSecond: 100, gflops: 1000 }
    const layout = layOutRoofline([run('at the roof', 300, 100), run('behind', 1000, 10)], roof, WIDTH)
    const [start, ridge, end] = corners(layout.roof)
    expect(ridge?.[1]).toBeCloseTo(end?.[1] ?? 0, 1)
    expect(point(layout, 'behind').y).toBeCloseTo(ridge?.[1] ?? 0, 1)
    const [startX = 0, startY = 0] = start ?? []
    const [ridgeX = 0, ridgeY = 0] = ridge ?? []
    const { x, y } = point(layout, 'at the roof')
    expect(startY + ((x - startX) / (ridgeX - startX)) * (ridgeY - startY)).toBeCloseTo(y, 0)
  })

  it('keeps every point and the roof inside the frame, on a phone too', () => {
    const runs = [run('slow', 0.02, 0.5, 0.001), run('fast', 90_000, 400, 120_000)]
    for (const width of [320, WIDTH, 1400]) {
      const { plot, points, roof } = layOutRoofline(runs, { gbPerSecond: 900, gflops: 60_000 }, width)
      for (const { x, y, baselineY } of points) {
        expect(x).toBeGreaterThanOrEqual(plot.left)
        expect(x).toBeLessThanOrEqual(plot.right)
        for (const each of [y, baselineY ?? y]) {
          expect(each).toBeGreaterThanOrEqual(plot.top)
          expect(each).toBeLessThanOrEqual(plot.bottom)
        }
      }
      for (const [x = Number.NaN, y = Number.NaN] of corners(roof)) {
        expect(x).toBeGreaterThanOrEqual(plot.left)
        expect(y).toBeGreaterThanOrEqual(plot.top)
        expect(y).toBeLessThanOrEqual(plot.bottom + 0.1)
      }
    }
  })

  it('shows two decades at least, leaves out what has no bytes, and has no roof without a measured one', () => {
    const layout = layOutRoofline([run('one', 5, 5), run('nothing', 3, 0)], null, WIDTH)
    expect(layout.points).toHaveLength(1)
    expect(layout.roof).toBeNull()
    expect(layout.xTicks.filter(({ label }) => label !== null).length).toBeGreaterThanOrEqual(3)
  })
})
