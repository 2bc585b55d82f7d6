// unpack_rows_f16e: an exponent and f16 mantissas a row.
//#include row_values

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) global: vec3u) {
  let pair = global.x;
  if (pair >= shape.width / 2u) {
    return;
  }
  let to = (work.row_first + global.y) * shape.x_stride + 2u * pair;
  let begin = work.io_word + global.y * (1u + shape.width / 2u);
  let exponent = bitcast<i32>(packed[begin]);
  let halves = packed[begin + 1u + pair];
  x[to] = from_half(halves & 0xffffu, exponent);
  x[to + 1u] = from_half(halves >> 16u, exponent);
}
