// block_q3_k: 256 columns in 8 groups: 4 quads of two bits (two words a group), 2 of third bits (a word a group), a quad of scales: 16 of
// 6 bits as GGML packs them, and d as f16. Each half of a group has a scale of its own, d (s - 32). value = scale (q - 4).
//#include block
//#include pick
//#include chunks_three
struct Head {
  scales: vec4u,
}
fn load_head(place: Place, block: u32) -> Head {
  return Head(load_quad(place, block, 6u));
}
fn load_group(place: Place, head: Head, block: u32, g: u32) -> Group {
  let low = pick_half(load_quad(place, block, g >> 1u), g & 1u);
  return Group(low, pick(load_quad(place, block, 4u + (g >> 2u)), g & 3u));
}
// Scale i: its low nibble is in byte i % 8, low or high half by i / 8; its upper bits are bits 2 (i / 4) of byte 8 + i % 4.
fn half_scale(head: Head, i: u32) -> f32 {
  let low = (select(head.scales.x, head.scales.y, (i & 4u) != 0u) >> (8u * (i & 3u) + 4u * (i >> 3u))) & 15u;
  let high = (head.scales.z >> (8u * (i & 3u) + 2u * (i >> 2u))) & 3u;
  return unpack2x16float(head.scales.w).x * f32(i32(low | (high << 4u)) - 32);
}
fn group_scales(head: Head, g: u32) -> vec4f {
  let first = half_scale(head, 2u * g);
  let second = half_scale(head, 2u * g + 1u);
  return vec4f(first, -4.0 * first, second, -4.0 * second);
}
