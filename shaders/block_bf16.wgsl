// block_bf16: 8 columns in a quad, two a word: the upper halves of f32.
//#include block
struct Head {
  unused: u32,
}
struct Group {
  q: vec4u,
}
fn load_head(place: Place, block: u32) -> Head {
  return Head(0u);
}
fn load_group(place: Place, head: Head, block: u32, g: u32) -> Group {
  return Group(load_quad(place, block, 0u));
}
fn widen(w: vec2u) -> vec4f {
  return bitcast<vec4f>(vec4u(w.x << 16u, w.x & 0xffff0000u, w.y << 16u, w.y & 0xffff0000u));
}
fn chunk_0(group: Group) -> vec4f {
  return widen(group.q.xy);
}
const UNIT_0 = vec4f(1.0);
fn chunk_1(group: Group) -> vec4f {
  return widen(group.q.zw);
}
const UNIT_1 = vec4f(1.0);
