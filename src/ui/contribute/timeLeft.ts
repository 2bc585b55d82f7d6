/** Time left of a download, out of samples taken once a second. */

/** A longer memory would show yesterday's speed, a shorter one would jump. */
export const SAMPLES_MAX = 10

export function addSample(samples: readonly number[], bytesLoaded: number): number[] {
  return [...samples, bytesLoaded].slice(-SAMPLES_MAX)
}

/** Seconds at the pace of the samples; null when there is no pace yet, or when nothing moves. */
export function secondsLeft(samples: readonly number[], bytesTotal: number): number | null {
  const first = samples[0]
  const last = samples.at(-1)
  if (first === undefined || last === undefined || samples.length < 2 || last <= first) return null
  return ((bytesTotal - last) * (samples.length - 1)) / (last - first)
}
