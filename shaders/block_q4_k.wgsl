// block_q4_k: 256 columns in 8 groups: 8 quads of nibbles, then the quad of scales. value = scale q + minimum.
//#include block
//#include chunks_nibble
//#include scales_k
fn load_head(place: Place, block: u32) -> Head {
  return Head(load_quad(place, block, 8u));
}
fn load_group(place: Place, head: Head, block: u32, g: u32) -> Group {
  return Group(load_quad(place, block, g));
}
