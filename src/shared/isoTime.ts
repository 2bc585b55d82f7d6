/** Points in time as people and other programs read them. */

/** ISO 8601 in UTC, to the millisecond, of `atMs` since 1970. */
export function isoTime(atMs: number): string {
  // biome-ignore lint/style/noRestrictedGlobals: writes a time that was handed in, and reads no clock
  return new Date(atMs).toISOString()
}
