// scales_k: what Q4_K and Q5_K keep for 8 groups in a quad: (d, dmin) as f16, the low nibbles of the scales, of the minima, and
// the upper two bits of both. scale = d * 6 bits, minimum = -dmin * 6 bits.
struct Head {
  q: vec4u,
}
fn group_scales(head: Head, g: u32) -> vec2f {
  let d = unpack2x16float(head.q.x);
  let scale = ((head.q.y >> (4u * g)) & 15u) | (((head.q.w >> (2u * g)) & 3u) << 4u);
  let minimum = ((head.q.z >> (4u * g)) & 15u) | (((head.q.w >> (16u + 2u * g)) & 3u) << 4u);
  return vec2f(d.x * f32(i32(scale)), -d.y * f32(i32(minimum)));
}
