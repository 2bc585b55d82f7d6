/** Seconds that a run still takes, from the cases done so far; null until a tenth of it, or one case, shows a pace. */
export function runSecondsLeft(casesDone: number, caseCount: number, elapsedMs: number): number | null {
  if (casesDone <= 0 || elapsedMs <= 0 || casesDone < Math.min(1, caseCount / 10)) return null
  return (elapsedMs / 1000 / casesDone) * (caseCount - casesDone)
}
