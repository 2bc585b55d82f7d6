// chunks_five: 32 columns of 5 bits: nibbles as in chunks_nibble; bit 8j+k of `high` is the fifth bit of column 4k+j.
struct Group {
  q: vec4u,
  high: u32,
}
//#repeat k 4
fn chunk_${k}(group: Group) -> vec4f {
  return spread((group.q[${k}] & 0x0f0f0f0fu) | (((group.high >> ${k}u) & 0x01010101u) << 4u));
}
const UNIT_${k} = UNIT;
fn chunk_${k + 4}(group: Group) -> vec4f {
  return spread(((group.q[${k}] >> 4u) & 0x0f0f0f0fu) | (((group.high >> ${k + 4}u) & 0x01010101u) << 4u));
}
const UNIT_${k + 4} = UNIT;
//#end
// The group whose chunks 0 and 4 are this one's 1 and 5: what a loop over the words goes on with.
fn next_chunk(group: Group) -> Group {
  return Group(group.q.yzwx, group.high >> 1u);
}
