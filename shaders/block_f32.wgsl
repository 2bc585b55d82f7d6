// block_f32: 4 columns in a quad.
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
fn chunk_0(group: Group) -> vec4f {
  return bitcast<vec4f>(group.q);
}
const UNIT_0 = vec4f(1.0);
