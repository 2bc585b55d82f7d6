// plain_group: one quad is a group, and has no scales. For the types that hold values as they are.
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
