// block_q6_k: 256 columns in 8 groups: 8 quads of nibbles, 4 of upper bits (two words a group), a quad of 16 signed bytes s; tail: d as
// f16. Each half of a group has a scale of its own, d s. value = scale (q - 32).
//#include block
//#include pick
//#include chunks_six
struct Head {
  scales: vec4u,
  d: f32,
}
fn load_head(place: Place, block: u32) -> Head {
  return Head(load_quad(place, block, 12u), unpack2x16float(load_tail_half_0(place, block)).x);
}
fn load_group(place: Place, head: Head, block: u32, g: u32) -> Group {
  return Group(load_quad(place, block, g), pick_half(load_quad(place, block, 8u + (g >> 1u)), g & 1u));
}
fn group_scales(head: Head, g: u32) -> vec4f {
  let pair = bitcast<i32>(pick(head.scales, g >> 1u) << (16u - 16u * (g & 1u)));
  let first = head.d * f32((pair << 8u) >> 24u);
  let second = head.d * f32(pair >> 24u);
  return vec4f(first, -32.0 * first, second, -32.0 * second);
}
