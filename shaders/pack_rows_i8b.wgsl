// pack_rows_i8b: int8 in blocks of 32 columns, the row's largest values apart.
// Numerics  integer division is exact, that of floats is not: so scales and quants are computed from the f16 mantissas' bits.
//#include row_mantissas
//#include row_blocks
var<workgroup> peaks: array<u32, 32>;

// The next outlier's key: the largest below `bound`. All lanes call it.
fn key_below(bound: u32, begin: u32, exponent: i32, lane: u32) -> u32 {
  var best = 0u;
  for (var column = lane; column < shape.width; column += 32u) {
    let key = outlier_key(to_half(x[begin + column], exponent), column);
    best = max(best, select(0u, key, key < bound));
  }
  peaks[lane] = best;
  workgroupBarrier();
  for (var i = 0u; i < 32u; i++) {
    best = max(best, peaks[i]);
  }
  workgroupBarrier();
  return best;
}

// Bits of the least f16 s with 127 s >= the magnitude of bits `peak`.
fn scale_bits(peak: u32) -> u32 {
  let exponent = half_exponent(peak);
  let significand = half_significand(peak);
  if (exponent < 8u) {
    return ((significand << (exponent - 1u)) + 126u) / 127u;
  }
  let scaled = ((significand << 7u) + 126u) / 127u;
  if (scaled < 2048u) {
    return ((exponent - 7u) << 10u) | (scaled - 1024u);
  }
  return ((exponent - 6u) << 10u) | (((significand << 6u) + 126u) / 127u - 1024u);
}

// The byte of mantissa / scale, to nearest, halves away from zero.
fn quant(half: u32, scale: u32) -> u32 {
  let magnitude = half & 0x7fffu;
  let shift = i32(half_exponent(magnitude)) - i32(half_exponent(scale)) + 1;
  if (scale == 0u || shift < 0) {
    return 0u;
  }
  let divisor = half_significand(scale);
  let count = ((half_significand(magnitude) << u32(shift)) + divisor) / (2u * divisor);
  return select(count, (256u - count) & 255u, half >= 0x8000u);
}

fn block_scale(lane: u32) -> u32 {
  var peak = 0u;
  for (var i = 0u; i < 8u; i++) {
    peak = max(peak, peaks[(lane & 24u) + i]);
  }
  return scale_bits(peak);
}

@compute @workgroup_size(32)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) lane: u32) {
  let begin = (work.row_first + group.x) * shape.x_stride;
  let place = block_row();
  let to = work.io_word + group.x * place.words;
  let exponent = shared_exponent(begin, lane);
  if (lane == 0u) {
    packed[to] = bitcast<u32>(exponent);
  }
  var key = 0xffffffffu;
  for (var rank = 0u; rank < place.outliers; rank++) {
    key = key_below(key, begin, exponent, lane);
    if (lane == 0u) {
      let column = 0xffffu - (key & 0xffffu);
      let half = to_half(x[begin + column], exponent);
      refuse_overflow(half, exponent);
      packed[to + 1u + rank] = column | (half << 16u);
    }
  }
  // Four columns a lane, four blocks at a time.
  for (var first = 0u; first < shape.width; first += 128u) {
    let column = first + 4u * lane;
    var halves = vec4u();
    //#repeat i 4
    if (column + ${i}u < shape.width) {
      let half = to_half(x[begin + column + ${i}u], exponent);
      halves[${i}] = select(half, 0u, outlier_key(half, column + ${i}u) >= key);
    }
    //#end
    let magnitudes = halves & vec4u(0x7fffu);
    peaks[lane] = max(max(magnitudes.x, magnitudes.y), max(magnitudes.z, magnitudes.w));
    workgroupBarrier();
    if (column < shape.width) {
      let scale = block_scale(lane);
      packed[to + place.quants_at + column / 4u] =
        quant(halves.x, scale) | (quant(halves.y, scale) << 8u) | (quant(halves.z, scale) << 16u) | (quant(halves.w, scale) << 24u);
      if (lane % 16u == 0u) {
        packed[to + place.scales_at + column / 64u] = scale | (block_scale(lane + 8u) << 16u);
      }
    }
    workgroupBarrier();
  }
}
