// pack_rows_f32: the bits as they are.
@compute @workgroup_size(32)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) lane: u32) {
  let begin = (work.row_first + group.x) * shape.x_stride;
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
}
