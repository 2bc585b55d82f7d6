/**
 * Address blocks: what one household or one rented server has of the Internet, so that it counts once: the /24 of an IPv4 address, the /48 of
 * an IPv6 one. Addresses themselves are never kept.
 */

interface AddressBlock {
  /** `203.0.113.0/24` or `2001:db8:1::/48`. */
  readonly text: string
  /** Private and link-local blocks are the same in every house: they tell nobody apart, and link nobody. */
  readonly isPublic: boolean
}

const GROUPS = 8
const BLOCK_GROUPS = 3

/** Null for a loopback address, which is everybody's own, and for a text that is no address. */
export function addressBlock(address: string): AddressBlock | null {
  const plain = address.replace(/%.*$/, '')
  const v4 = parseIpv4(plain)
  if (v4 !== null) return blockOfIpv4(v4)
  const groups = parseIpv6(plain)
  if (groups === null) return null
  const [a, b, c, d, e, f, g, h] = groups as Groups
  const isMapped = [a, b, c, d, e].every((group) => group === 0) && f === 0xffff
  if (isMapped) return blockOfIpv4([g >> 8, g & 255, h >> 8, h & 255])
  if (groups.slice(0, -1).every((group) => group === 0) && h === 1) return null
  const isPrivate = (a & 0xfe00) === 0xfc00 || (a & 0xffc0) === 0xfe80
  const shown = groups.slice(0, BLOCK_GROUPS).map((group) => group.toString(16))
  return { text: `${shown.join(':')}::/48`, isPublic: !isPrivate }
}

type Groups = readonly [number, number, number, number, number, number, number, number]

function blockOfIpv4([a = 0, b = 0, c = 0]: readonly number[]): AddressBlock | null {
  if (a === 127) return null
  const isPrivate = a === 10 || (a === 172 && (b & 0xf0) === 16) || (a === 192 && b === 168) || (a === 169 && b === 254)
  return { text: `${a}.${b}.${c}.0/24`, isPublic: !isPrivate }
}

function parseIpv4(text: string): readonly number[] | null {
  const parts = /^(\d{1,3})\.(\d{1,3})\.(\d{1,3})\.(\d{1,3})$/.exec(text)?.slice(1).map(Number)
  return parts?.every((part) => part <= 255) ? parts : null
}

/** Its eight groups of 16 bits. */
function parseIpv6(text: string): readonly number[] | null {
  const halves = text.split('::')
  if (halves.length > 2 || !text.includes(':')) return null
  const [head, tail] = halves.map(parseGroups)
  if (head === undefined || head === null || tail === null) return null
  if (tail === undefined) return head.length === GROUPS ? head : null
  const zeros = GROUPS - head.length - tail.length
  return zeros >= 1 ? [...head, ...Array.from({ length: zeros }, () => 0), ...tail] : null
}

/** Groups with colons between, the last of which may be an IPv4 address. */
function parseGroups(text: string): number[] | null {
  if (text === '') return []
  const groups: number[] = []
  const parts = text.split(':')
  for (const [index, part] of parts.entries()) {
    const v4 = index === parts.length - 1 ? parseIpv4(part) : null
    if (v4 !== null) groups.push(((v4[0] ?? 0) << 8) | (v4[1] ?? 0), ((v4[2] ?? 0) << 8) | (v4[3] ?? 0))
    else if (/^[0-9a-f]{1,4}$/i.test(part)) groups.push(Number.parseInt(part, 16))
    else return null
  }
  return groups
}
