/**
 * Bars of how many times as fast one side is as the other, from the line at 1 ×, on a logarithmic scale so that twice as fast and half as
 * fast are equally long. Each is a line of text with its figure: nothing is said by the picture alone.
 */

import { Text } from '@mantine/core'
import { formatRatio } from './figures.ts'
import styles from './ratioBars.module.css'

export interface Ratio {
  readonly id: string
  readonly label: string
  readonly ratio: number
  /** Quartiles of the paired ratios; null where they were not measured. */
  readonly quartiles: readonly [number, number] | null
  /** In words, behind the figure. */
  readonly note?: string
}

interface RatioBarsProps {
  readonly ratios: readonly Ratio[]
  /** Who is compared, for the list's name: "this run against ONNX Runtime". */
  readonly label: string
}

export function RatioBars({ ratios, label }: RatioBarsProps) {
  const scale = scaleOf(ratios)
  return (
    <ul className={styles.bars} aria-label={label}>
      {ratios.map((each) => (
        <li key={each.id} className={styles.row}>
          <Text size="sm" className={styles.label ?? ''}>
            {each.label}
          </Text>
          <Text size="sm" fw={600} className={styles.value ?? ''}>
            {formatRatio(each.ratio)}
            {each.note !== undefined && (
              <Text span size="sm" fw={400} c="dimmed">
                {` ${each.note}`}
              </Text>
            )}
          </Text>
          <Bar ratio={each.ratio} quartiles={each.quartiles} scale={scale} />
        </li>
      ))}
    </ul>
  )
}

function Bar({ ratio, quartiles, scale }: Pick<Ratio, 'ratio' | 'quartiles'> & { readonly scale: Scale }) {
  const [one, end] = [scale(1), scale(ratio)]
  return (
    <div className={styles.track} aria-hidden="true">
      <span
        className={ratio >= 1 ? styles.faster : styles.slower}
        style={{ left: percent(Math.min(one, end)), width: percent(Math.abs(end - one)) }}
      />
      {quartiles !== null && (
        <span
          className={styles.spread}
          style={{ left: percent(scale(quartiles[0])), width: percent(scale(quartiles[1]) - scale(quartiles[0])) }}
        />
      )}
      <span className={styles.one} style={{ left: percent(one) }} />
    </div>
  )
}

/** A ratio's place from 0 to 1. */
type Scale = (ratio: number) => number

/** From the smallest to the largest, 1 × always among them, and at least a factor of four wide. */
export function scaleOf(ratios: readonly Pick<Ratio, 'ratio' | 'quartiles'>[]): Scale {
  const values = ratios.flatMap(({ ratio, quartiles }) => [ratio, ...(quartiles ?? [])]).filter((value) => value > 0)
  const first = Math.min(-1, ...values.map(Math.log2))
  const last = Math.max(1, ...values.map(Math.log2))
  return (ratio) => (ratio <= 0 ? 0 : Math.min(1, Math.max(0, (Math.log2(ratio) - first) / (last - first))))
}

function percent(share: number): string {
  return `${(100 * share).toFixed(2)}%`
}
