// block_mxfp4: 32 columns: a quad of 4-bit floats (sign, two bits of exponent, one of mantissa), by table; tail: an exponent e as a
// byte, the scale is 2^(e - 127). The table holds values times 2, as GGML's does, so the scale is halved: e = 0 and 1 are subnormal.
//#include block
var<private> table: array<f32, 16> = array<f32, 16>(
  0.0, 1.0, 2.0, 3.0, 4.0, 6.0, 8.0, 12.0, 0.0, -1.0, -2.0, -3.0, -4.0, -6.0, -8.0, -12.0,
);
//#include chunks_table
struct Head {
  scale: f32,
}
fn load_head(place: Place, block: u32) -> Head {
  let e = load_tail_byte_0(place, block);
  return Head(bitcast<f32>(select((e - 1u) << 23u, 0x200000u << e, e < 2u)));
}
fn load_group(place: Place, head: Head, block: u32, g: u32) -> Group {
  return Group(load_quad(place, block, 0u));
}
fn group_scales(head: Head, g: u32) -> vec2f {
  return vec2f(head.scale, 0.0);
}
