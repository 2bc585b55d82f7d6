/** IEEE 754 binary16, without a host's Float16Array (Node 20 has none): bits to number exactly, number to bits by nearest-even. */

const scratch = new DataView(new ArrayBuffer(4))

/** Bits of the f16 nearest to `value`, ties to even; beyond f16's range infinity, NaN stays NaN. `value` must be exact in f32. */
export function toHalfBits(value: number): number {
  scratch.setFloat32(0, value)
  const bits = scratch.getUint32(0)
  const sign = (bits >>> 16) & 0x8000
  const exponent = (bits >>> 23) & 0xff
  const fraction = bits & 0x7fffff
  if (exponent === 0xff) return sign | 0x7c00 | (fraction === 0 ? 0 : 0x200)
  if (exponent > 142) return sign | 0x7c00
  // Carries out of the fraction run into the exponent, and from the largest number into infinity: as rounding should.
  if (exponent > 112) return sign | (((exponent - 112) << 10) + shiftToEven(fraction, 13))
  // Below 2^-25 even the half way to the smallest subnormal is not reached.
  if (exponent < 102) return sign
  return sign | shiftToEven(fraction | 0x800000, 126 - exponent)
}

/** The value of 16 bits as an f16, exact. */
export function fromHalfBits(bits: number): number {
  const sign = bits & 0x8000 ? -1 : 1
  const exponent = (bits >>> 10) & 0x1f
  const fraction = bits & 0x3ff
  if (exponent === 0x1f) return fraction === 0 ? sign * Number.POSITIVE_INFINITY : Number.NaN
  return exponent === 0 ? sign * fraction * 2 ** -24 : sign * (1 + fraction / 1024) * 2 ** (exponent - 15)
}

/** `value` / 2^`count`, rounded to nearest, ties to even; 1 ≤ count ≤ 24. */
function shiftToEven(value: number, count: number): number {
  const whole = value >>> count
  const rest = value & ((1 << count) - 1)
  const middle = 1 << (count - 1)
  return rest > middle || (rest === middle && (whole & 1) === 1) ? whole + 1 : whole
}
