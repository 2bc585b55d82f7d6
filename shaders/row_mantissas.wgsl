// row_mantissas: the power-of-two exponent of a row and the f16 mantissas under it, as protocol/rowMantissas has them. For shaders
// of 32 lanes a row that bind x, flags and shape as pack_rows does.
// Numerics  rounding to nearest, ties to even, subnormals included.
var<workgroup> largest: array<u32, 32>;

// The f16 nearest to the f32 `bits` times 2^-exponent.
fn to_half(bits: u32, exponent: i32) -> u32 {
  let sign = (bits >> 16u) & 0x8000u;
  let magnitude = bits & 0x7fffffffu;
  if (magnitude == 0u) {
    return sign;
  }
  var power = i32(magnitude >> 23u);
  var mantissa = magnitude & 0x7fffffu;
  if (power == 0) {
    let shift = countLeadingZeros(mantissa) - 8u;
    mantissa <<= shift;
    power = 1 - i32(shift);
  }
  mantissa |= 0x800000u;
  power -= 127 + exponent;
  var shift = 13u;
  var base = 0u;
  if (power >= -14) {
    base = u32(power + 14) << 10u; // the mantissa's leading one adds the last unit of the exponent
  } else {
    shift = u32(-1 - power);
    if (shift >= 25u) {
      return sign;
    }
  }
  let kept = base + (mantissa >> shift);
  let rest = mantissa & ((1u << shift) - 1u);
  let middle = 1u << (shift - 1u);
  let up = rest > middle || (rest == middle && (kept & 1u) == 1u);
  return sign | (kept + select(0u, 1u, up));
}

// The least e for which magnitude <= 2^15 * 2^e.
fn row_exponent(magnitude: u32) -> i32 {
  if (magnitude == 0u) {
    return 0;
  }
  var power = i32(magnitude >> 23u) - 127;
  var fraction = magnitude & 0x7fffffu;
  if (power == -127) {
    let shift = countLeadingZeros(fraction) - 8u;
    fraction = (fraction << shift) & 0x7fffffu;
    power = -126 - i32(shift);
  }
  return power - 15 + select(0, 1, fraction != 0u);
}

// The exponent of the row that begins at x[begin]; all lanes of the workgroup call it. Raises the flag for what is not finite.
fn shared_exponent(begin: u32, lane: u32) -> i32 {
  var best = 0u;
  for (var column = lane; column < shape.width; column += 32u) {
    best = max(best, x[begin + column] & 0x7fffffffu);
  }
  largest[lane] = best;
  workgroupBarrier();
  for (var i = 0u; i < 32u; i++) {
    best = max(best, largest[i]);
  }
  if (best >= 0x7f800000u) {
    atomicOr(&flags[0], 1u);
  }
  return row_exponent(best);
}

// 2^15 with the largest exponent is 2^128, which is no f32.
fn refuse_overflow(half: u32, exponent: i32) {
  if (exponent == 113 && (half & 0x7fffu) == 0x7800u) {
    atomicOr(&flags[0], 1u);
  }
}
