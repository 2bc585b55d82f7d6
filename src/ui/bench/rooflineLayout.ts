/**
 * Where everything of a roofline plot goes: operations a byte from left to right, operations a second upwards, both logarithmic.
 * The roof is what the adapter allows: bandwidth × operations a byte, up to its multiply-add rate. Pure, so that it can be tested.
 */

export interface RooflineRun {
  readonly id: string
  readonly gflops: number
  readonly gbPerSecond: number
  /** The same case in ONNX Runtime, where it was run. */
  readonly baselineGflops: number | null
}

export interface Roof {
  /** Measured copy bandwidth, GB/s. */
  readonly gbPerSecond: number
  /** Measured multiply-add rate, GFLOP/s (two for each multiply-add). */
  readonly gflops: number
}

export interface PlotPoint {
  readonly id: string
  readonly x: number
  readonly y: number
  readonly baselineY: number | null
}

export interface Tick {
  readonly at: number
  /** Null for the lines between the powers of ten. */
  readonly label: string | null
}

export interface RooflineLayout {
  readonly height: number
  readonly plot: { readonly left: number; readonly right: number; readonly top: number; readonly bottom: number }
  readonly xTicks: readonly Tick[]
  readonly yTicks: readonly Tick[]
  /** Three corners from the left edge over the ridge to the right edge, as an SVG polyline; null without a roof. */
  readonly roof: string | null
  readonly points: readonly PlotPoint[]
}

const MARGIN = { left: 56, right: 14, top: 14, bottom: 44 }
/** Points and the roof keep this factor from the frame, before whole powers of ten are taken. */
const SLACK = 1.05
/** Wide screens get a flatter plot, phones nearly a square. */
const HEIGHT_MIN = 280
const HEIGHT_MAX = 420

export function layOutRoofline(runs: readonly RooflineRun[], roof: Roof | null, width: number): RooflineLayout {
  const height = Math.min(HEIGHT_MAX, Math.max(HEIGHT_MIN, Math.round(width * 0.5)))
  const plot = { left: MARGIN.left, right: width - MARGIN.right, top: MARGIN.top, bottom: height - MARGIN.bottom }
  const shown = runs.filter(({ gflops, gbPerSecond }) => gflops > 0 && gbPerSecond > 0)
  const ridge = roof !== null && roof.gbPerSecond > 0 && roof.gflops > 0 ? roof.gflops / roof.gbPerSecond : null
  const xRange = decades([...shown.map(intensity), ...(ridge === null ? [] : [ridge])])
  const yRange = decades([
    ...shown.flatMap(({ gflops, baselineGflops }) => (baselineGflops === null ? [gflops] : [gflops, baselineGflops])),
    ...(roof === null || ridge === null ? [] : [roof.gflops]),
  ])
  const xOf = (value: number) => plot.left + along(value, xRange) * (plot.right - plot.left)
  const yOf = (value: number) => plot.bottom - Math.max(0, along(value, yRange)) * (plot.bottom - plot.top)
  return {
    height,
    plot,
    xTicks: ticks(xRange, xOf),
    yTicks: ticks(yRange, yOf),
    roof: roof === null || ridge === null ? null : roofLine(roof, ridge, xRange, yRange, xOf, yOf),
    points: shown.map((run) => ({
      id: run.id,
      x: xOf(intensity(run)),
      y: yOf(run.gflops),
      baselineY: run.baselineGflops === null || run.baselineGflops <= 0 ? null : yOf(run.baselineGflops),
    })),
  }
}

/** Powers of ten, first and last. */
type Decades = readonly [number, number]

function intensity({ gflops, gbPerSecond }: RooflineRun): number {
  return gflops / gbPerSecond
}

/** At least two decades, so that one point alone does not fill the plot. */
function decades(values: readonly number[]): Decades {
  if (values.length === 0) return [0, 2]
  const first = Math.floor(Math.log10(Math.min(...values) / SLACK))
  const last = Math.ceil(Math.log10(Math.max(...values) * SLACK))
  return [first, Math.max(last, first + 2)]
}

function along(value: number, [first, last]: Decades): number {
  return (Math.log10(value) - first) / (last - first)
}

function ticks([first, last]: Decades, at: (value: number) => number): Tick[] {
  const made: Tick[] = []
  for (let power = first; power <= last; power++) {
    made.push({ at: at(10 ** power), label: (10 ** power).toLocaleString('en-US', { maximumFractionDigits: 6 }) })
    if (power < last) for (const part of [2, 5]) made.push({ at: at(part * 10 ** power), label: null })
  }
  return made
}

/** The slope begins where it enters the plot: at the left edge, or at the bottom where that is higher. */
function roofLine(
  { gbPerSecond, gflops }: Roof,
  ridge: number,
  [xFirst, xLast]: Decades,
  [yFirst]: Decades,
  xOf: (value: number) => number,
  yOf: (value: number) => number,
): string {
  const start = Math.min(ridge, Math.max(10 ** xFirst, 10 ** yFirst / gbPerSecond))
  const corners = [
    [start, start * gbPerSecond],
    [ridge, gflops],
    [10 ** xLast, gflops],
  ] as const
  return corners.map(([x, y]) => `${xOf(x).toFixed(1)},${yOf(y).toFixed(1)}`).join(' ')
}
