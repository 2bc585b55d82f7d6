// block_q4_1: 32 columns: a quad of nibbles q; tail: scale d and minimum m as f16. value = d q + m.
//#include block
//#include chunks_nibble
struct Head {
  scales: vec2f,
}
fn load_head(place: Place, block: u32) -> Head {
  return Head(unpack2x16float(load_tail_word_0(place, block)));
}
fn load_group(place: Place, head: Head, block: u32, g: u32) -> Group {
  return Group(load_quad(place, block, 0u));
}
fn group_scales(head: Head, g: u32) -> vec2f {
  return head.scales;
}
