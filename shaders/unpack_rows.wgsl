// unpack_rows: rows as they came from the wire, as f32: the inverse of pack_rows.
// Grid      one row a workgroup in y, 64 pairs of columns in x.
// Numerics  whole numbers only; equal to decodeRows bit for bit.
struct Shape {
  width: u32,
  x_stride: u32,
  unused_0: u32,
  unused_1: u32,
}
@group(0) @binding(0) var<storage, read> packed: array<u32>;
@group(0) @binding(1) var<storage, read_write> x: array<u32>;
@group(0) @binding(2) var<uniform> shape: Shape;
//#include work
//#if F16E

// Bits of the f32 nearest to the f16 `half` times 2^exponent.
fn from_half(half: u32, exponent: i32) -> u32 {
  let sign = (half & 0x8000u) << 16u;
  var power = i32((half >> 10u) & 31u);
  var mantissa = half & 0x3ffu;
  if (power == 31) {
    return sign | 0x7f800000u | (mantissa << 13u);
  }
  if (power == 0) {
    if (mantissa == 0u) {
      return sign;
    }
    let shift = countLeadingZeros(mantissa) - 21u;
    mantissa <<= shift;
    power = 1 - i32(shift);
  }
  mantissa = (mantissa | 0x400u) << 13u;
  // Beyond these bounds every value is infinite or zero anyway; they keep the sum from wrapping.
  power += clamp(exponent, -1000, 1000) + 112;
  if (power >= 255) {
    return sign | 0x7f800000u;
  }
  if (power > 0) {
    return sign | (u32(power) << 23u) | (mantissa & 0x7fffffu);
  }
  let shift = u32(1 - power);
  if (shift >= 25u) {
    return sign;
  }
  let kept = mantissa >> shift;
  let rest = mantissa & ((1u << shift) - 1u);
  let middle = 1u << (shift - 1u);
  return sign | (kept + select(0u, 1u, rest > middle || (rest == middle && (kept & 1u) == 1u)));
}
//#end

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) global: vec3u) {
  let pair = global.x;
  if (pair >= shape.width / 2u) {
    return;
  }
  let to = (work.row_first + global.y) * shape.x_stride + 2u * pair;
  //#if F16E
  let begin = work.io_word + global.y * (1u + shape.width / 2u);
  let exponent = bitcast<i32>(packed[begin]);
  let halves = packed[begin + 1u + pair];
  x[to] = from_half(halves & 0xffffu, exponent);
  x[to + 1u] = from_half(halves >> 16u, exponent);
  //#else
  let begin = work.io_word + global.y * shape.width + 2u * pair;
  x[to] = packed[begin];
  x[to + 1u] = packed[begin + 1u];
  //#end
}
