// block_q2_k: 256 columns in 8 groups: 4 quads of two bits (two words a group), a quad of 16 bytes, scale in the low nibble and minimum
// in the high one, for each half of a group; tail: (d, dmin) as f16. value = d scale q - dmin minimum.
//#include block
//#include pick
//#include chunks_two
struct Head {
  scales: vec4u,
  d: vec2f,
}
fn load_head(place: Place, block: u32) -> Head {
  return Head(load_quad(place, block, 4u), unpack2x16float(load_tail_word_0(place, block)));
}
fn load_group(place: Place, head: Head, block: u32, g: u32) -> Group {
  return Group(pick_half(load_quad(place, block, g >> 1u), g & 1u));
}
fn group_scales(head: Head, g: u32) -> vec4f {
  let pair = pick(head.scales, g >> 1u) >> (16u * (g & 1u));
  let nibbles = vec4u(pair, pair >> 4u, pair >> 8u, pair >> 12u) & vec4u(15u);
  return vec4f(vec4i(nibbles)) * vec4f(head.d.x, -head.d.y, head.d.x, -head.d.y);
}
