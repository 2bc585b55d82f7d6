// block_q5_k: 256 columns in 8 groups: 8 quads of nibbles, 2 of fifth bits (a word a group), the quad of scales. value = scale q + minimum.
//#include block
//#include pick
//#include chunks_five
//#include scales_k
fn load_head(place: Place, block: u32) -> Head {
  return Head(load_quad(place, block, 10u));
}
fn load_group(place: Place, head: Head, block: u32, g: u32) -> Group {
  return Group(load_quad(place, block, g), pick(load_quad(place, block, 8u + (g >> 2u)), g & 3u));
}
