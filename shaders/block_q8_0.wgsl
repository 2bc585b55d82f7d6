// block_q8_0: 32 columns: two quads of signed bytes q; tail: scale d as f16. value = d q.
//#include block
//#include chunks_byte
struct Head {
  scale: f32,
}
fn load_head(place: Place, block: u32) -> Head {
  return Head(unpack2x16float(load_tail_half_0(place, block)).x);
}
fn load_group(place: Place, head: Head, block: u32, g: u32) -> Group {
  return Group(load_quad(place, block, 0u), load_quad(place, block, 1u));
}
fn group_scales(head: Head, g: u32) -> vec2f {
  return vec2f(head.scale, 0.0);
}
