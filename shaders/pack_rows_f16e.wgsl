// pack_rows_f16e: an exponent and f16 mantissas a row.
//#include row_mantissas

@compute @workgroup_size(32)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) lane: u32) {
  let begin = (work.row_first + group.x) * shape.x_stride;
  let exponent = shared_exponent(begin, lane);
  let to = work.io_word + group.x * (1u + shape.width / 2u);
  if (lane == 0u) {
    packed[to] = bitcast<u32>(exponent);
  }
  for (var pair = lane; pair < shape.width / 2u; pair += 32u) {
    let low = to_half(x[begin + 2u * pair], exponent);
    let high = to_half(x[begin + 2u * pair + 1u], exponent);
    packed[to + 1u + pair] = low | (high << 16u);
    refuse_overflow(low, exponent);
    refuse_overflow(high, exponent);
  }
}
