/** The Range header of RFC 9110, as far as anybody uses it: one range of bytes. */

export interface ByteRange {
  readonly byteOffset: number
  readonly byteLength: number
}

/**
 * What of a file of `fileBytes` is asked for: a range, `unsatisfiable`, or null for the whole file. Several ranges, other
 * units and what is malformed count as not asked, as the RFC allows.
 */
export function parseRange(header: string | undefined, fileBytes: number): ByteRange | 'unsatisfiable' | null {
  const match = /^bytes=(\d{0,15})-(\d{0,15})$/.exec(header?.trim() ?? '')
  if (match === null) return null
  const [, first = '', last = ''] = match
  if (first === '' && last === '') return null
  if (first === '') {
    const byteLength = Math.min(Number(last), fileBytes)
    return byteLength === 0 ? 'unsatisfiable' : { byteOffset: fileBytes - byteLength, byteLength }
  }
  const byteOffset = Number(first)
  if (last !== '' && Number(last) < byteOffset) return null
  if (byteOffset >= fileBytes) return 'unsatisfiable'
  const end = last === '' ? fileBytes : Math.min(Number(last) + 1, fileBytes)
  return { byteOffset, byteLength: end - byteOffset }
}
