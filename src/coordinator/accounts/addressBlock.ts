/**
 * Address blocks: what one household or one rented server has of the Internet, so that it counts once: the /24 of an IPv4 address, the /48 of
 * an IPv6 one. Addresses themselves are never kept.
 */

import ipaddr from 'ipaddr.js'

interface AddressBlock {
  /** `203.0.113.0/24` or `2001:db8:1::/48`. */
  readonly text: string
  /** Private and link-local blocks are the same in every house: they tell nobody apart, and link nobody. */
  readonly isPublic: boolean
}

const PRIVATE = ['private', 'linkLocal', 'uniqueLocal']
const IPV6_GROUPS = 3

/** What tries are counted by: all that come from no block count together. */
export function blockName(address: string | null): string {
  return address === null ? '' : (addressBlock(address)?.text ?? '')
}

/** Null for a loopback address, which is everybody's own, and for a text that is no address. */
export function addressBlock(address: string): AddressBlock | null {
  // The library takes `1.2` and `0x7f.1` for addresses too.
  if (!ipaddr.IPv6.isValid(address) && !ipaddr.IPv4.isValidFourPartDecimal(address)) return null
  const parsed = ipaddr.process(address)
  const range = parsed.range()
  if (range === 'loopback') return null
  const isPublic = !PRIVATE.includes(range)
  if (!('parts' in parsed)) return { text: `${parsed.octets.slice(0, -1).join('.')}.0/24`, isPublic }
  const groups = parsed.parts.slice(0, IPV6_GROUPS)
  return { text: `${groups.map((group) => group.toString(16)).join(':')}::/48`, isPublic }
}
