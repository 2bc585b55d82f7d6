// block_q5_0: 32 columns: a quad of nibbles; tails: the fifth bits, scale d as f16. value = d (q - 16).
//#include block
//#include chunks_five
struct Head {
  high: u32,
  scale: f32,
}
fn load_head(place: Place, block: u32) -> Head {
  return Head(load_tail_word_0(place, block), unpack2x16float(load_tail_half_1(place, block)).x);
}
fn load_group(place: Place, head: Head, block: u32, g: u32) -> Group {
  return Group(load_quad(place, block, 0u), head.high);
}
fn group_scales(head: Head, g: u32) -> vec2f {
  return vec2f(head.scale, -16.0 * head.scale);
}
