// unpack_rows_f32: the bits as they are.
@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) global: vec3u) {
  let pair = global.x;
  if (pair >= shape.width / 2u) {
    return;
  }
  let to = (work.row_first + global.y) * shape.x_stride + 2u * pair;
  let begin = work.io_word + global.y * shape.width + 2u * pair;
  x[to] = packed[begin];
  x[to + 1u] = packed[begin + 1u];
}
