// block_q4_0: 32 columns: a quad of nibbles q; tail: scale d as f16. value = d (q - 8).
//#include block
//#include chunks_nibble
struct Head {
  scale: f32,
}
fn load_head(place: Place, block: u32) -> Head {
  return Head(unpack2x16float(load_tail_half_0(place, block)).x);
}
fn load_group(place: Place, head: Head, block: u32, g: u32) -> Group {
  return Group(load_quad(place, block, 0u));
}
fn group_scales(head: Head, g: u32) -> vec2f {
  return vec2f(head.scale, -8.0 * head.scale);
}
