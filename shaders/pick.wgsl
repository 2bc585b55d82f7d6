// pick: v[i] for an i that the whole workgroup shares; an indexed vector would go through memory.
fn pick(v: vec4u, i: u32) -> u32 {
  return select(select(v.x, v.y, i == 1u), select(v.z, v.w, i == 3u), i >= 2u);
}
fn pick_half(v: vec4u, i: u32) -> vec2u {
  return select(v.xy, v.zw, i == 1u);
}
