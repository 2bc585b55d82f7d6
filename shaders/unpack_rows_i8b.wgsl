// unpack_rows_i8b: int8 in blocks of 32 columns, the row's largest values apart. What decodeRows refuses becomes NaN, which the outputs'
// flag tells.
//#include row_values
//#include row_blocks
const SCALE_BITS_MAX = 0x5c09u; // of the scale of 2^15
const NOT_A_NUMBER = 0x7fc00000u;

// The value of a block's byte; `scale` is f16 bits of a magnitude.
fn quant_value(byte: u32, scale: u32, exponent: i32) -> u32 {
  let magnitude = select(byte, 256u - byte, byte > 128u);
  let power = exponent + i32(half_exponent(scale)) - 25;
  let bits = scaled_bits(select(0u, 0x80000000u, byte > 128u), magnitude * half_significand(scale), power);
  return select(bits, NOT_A_NUMBER, byte == 128u);
}

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) global: vec3u) {
  let pair = global.x;
  if (pair >= shape.width / 2u) {
    return;
  }
  let place = block_row();
  let begin = work.io_word + global.y * place.words;
  let exponent = bitcast<i32>(packed[begin]);
  let scale = (packed[begin + place.scales_at + pair / 32u] >> (16u * (pair / 16u % 2u))) & 0xffffu;
  let bytes = packed[begin + place.quants_at + pair / 2u] >> (16u * (pair % 2u));
  let quants = vec2u(bytes & 255u, (bytes >> 8u) & 255u);
  let columns = vec2u(2u * pair, 2u * pair + 1u);
  var values = vec2u(quant_value(quants.x, scale, exponent), quant_value(quants.y, scale, exponent));
  var taken = quants != vec2u();
  var valid = exponent >= -164 && exponent <= 113 && scale <= SCALE_BITS_MAX;
  var bound = 0xffffffffu;
  for (var rank = 0u; rank < place.outliers; rank++) {
    let outlier = packed[begin + 1u + rank];
    let column = outlier & 0xffffu;
    let half = outlier >> 16u;
    let key = outlier_key(half, column);
    let mine = columns == vec2u(column);
    valid = valid && column < shape.width && key < bound && (half & 0x7fffu) <= 0x7800u && !any(mine & taken);
    values = select(values, vec2u(from_half(half, exponent)), mine);
    taken = taken | mine;
    bound = key;
  }
  let to = (work.row_first + global.y) * shape.x_stride + columns.x;
  x[to] = select(NOT_A_NUMBER, values.x, valid);
  x[to + 1u] = select(NOT_A_NUMBER, values.y, valid);
}
