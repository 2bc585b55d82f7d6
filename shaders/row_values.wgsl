// row_values: f32 bits of what a row's mantissas mean, rounded to nearest, ties to even, subnormals included.

// Of whole * 2^power, with whole below 2^24; `sign` is the sign's bit.
fn scaled_bits(sign: u32, whole: u32, power: i32) -> u32 {
  if (whole == 0u) {
    return sign;
  }
  let zeros = countLeadingZeros(whole) - 8u;
  let mantissa = whole << zeros;
  // Beyond these bounds every value is infinite or zero anyway; they keep the sum from wrapping.
  let exponent = clamp(power, -1000, 1000) + 150 - i32(zeros);
  if (exponent >= 255) {
    return sign | 0x7f800000u;
  }
  if (exponent > 0) {
    return sign | (u32(exponent) << 23u) | (mantissa & 0x7fffffu);
  }
  let shift = u32(1 - exponent);
  if (shift >= 25u) {
    return sign;
  }
  let kept = mantissa >> shift;
  let rest = mantissa & ((1u << shift) - 1u);
  let middle = 1u << (shift - 1u);
  return sign | (kept + select(0u, 1u, rest > middle || (rest == middle && (kept & 1u) == 1u)));
}

// Of the f16 `half` times 2^exponent.
fn from_half(half: u32, exponent: i32) -> u32 {
  let sign = (half & 0x8000u) << 16u;
  let power = (half >> 10u) & 31u;
  let fraction = half & 0x3ffu;
  if (power == 31u) {
    return sign | 0x7f800000u | (fraction << 13u);
  }
  let significand = select(fraction, fraction | 0x400u, power > 0u);
  return scaled_bits(sign, significand, clamp(exponent, -1000, 1000) + i32(max(power, 1u)) - 25);
}
