// block_iq4_xs: 256 columns in 8 groups: 8 quads of nibbles that name values; tails: d as f16 below the upper two bits of 8 scales s, then
// the low nibbles of the scales. value = d (s - 32) table[q].
//#include block
//#include table_iq4
//#include chunks_table
struct Head {
  high: u32,
  low: u32,
}
fn load_head(place: Place, block: u32) -> Head {
  return Head(load_tail_word_0(place, block), load_tail_word_1(place, block));
}
fn load_group(place: Place, head: Head, block: u32, g: u32) -> Group {
  return Group(load_quad(place, block, g));
}
fn group_scales(head: Head, g: u32) -> vec2f {
  let scale = ((head.low >> (4u * g)) & 15u) | (((head.high >> (16u + 2u * g)) & 3u) << 4u);
  return vec2f(unpack2x16float(head.high).x * f32(i32(scale) - 32), 0.0);
}
