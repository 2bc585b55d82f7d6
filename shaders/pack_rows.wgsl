// pack_rows: rows as they go out, read as bits: f32 as they are, or (F16E) an exponent and f16 mantissas a row, see protocol/rows.
// Anything that is not finite raises flags[0].
// Grid      one row a workgroup in x, 32 lanes.
// Numerics  whole numbers only: rounding to nearest, ties to even, subnormals included; equal to encodeRows byte for byte.
struct Shape {
  width: u32,
  x_stride: u32,
  unused_0: u32,
  unused_1: u32,
}
@group(0) @binding(0) var<storage, read> x: array<u32>;
@group(0) @binding(1) var<storage, read_write> packed: array<u32>;
@group(0) @binding(2) var<storage, read_write> flags: array<atomic<u32>>;
@group(0) @binding(3) var<uniform> shape: Shape;
//#include work
//#if F16E
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
//#end

@compute @workgroup_size(32)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) lane: u32) {
  let begin = (work.row_first + group.x) * shape.x_stride;
  //#if F16E
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
  let exponent = row_exponent(best);
  let to = work.io_word + group.x * (1u + shape.width / 2u);
  if (lane == 0u) {
    packed[to] = bitcast<u32>(exponent);
  }
  for (var pair = lane; pair < shape.width / 2u; pair += 32u) {
    let low = to_half(x[begin + 2u * pair], exponent);
    let high = to_half(x[begin + 2u * pair + 1u], exponent);
    packed[to + 1u + pair] = low | (high << 16u);
    // 2^15 with the largest exponent is 2^128, which is no f32.
    if (exponent == 113 && ((low & 0x7fffu) == 0x7800u || (high & 0x7fffu) == 0x7800u)) {
      atomicOr(&flags[0], 1u);
    }
  }
  //#else
  let to = work.io_word + group.x * shape.width;
  var finite = true;
  for (var column = lane; column < shape.width; column += 32u) {
    let bits = x[begin + column];
    finite = finite && (bits & 0x7f800000u) != 0x7f800000u;
    packed[to + column] = bits;
  }
  if (!finite) {
    atomicOr(&flags[0], 1u);
  }
  //#end
}
