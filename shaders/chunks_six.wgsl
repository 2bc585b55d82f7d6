// chunks_six: 32 columns of 6 bits: nibbles as in chunks_nibble; bits 8j+2k, 8j+2k+1 of high[h] are the upper two of column 16h+4k+j.
struct Group {
  q: vec4u,
  high: vec2u,
}
//#repeat k 4
fn chunk_${k}(group: Group) -> vec4f {
  return spread((group.q[${k}] & 0x0f0f0f0fu) | (((group.high.x >> ${2 * k}u) & 0x03030303u) << 4u));
}
const UNIT_${k} = UNIT;
fn chunk_${k + 4}(group: Group) -> vec4f {
  return spread(((group.q[${k}] >> 4u) & 0x0f0f0f0fu) | (((group.high.y >> ${2 * k}u) & 0x03030303u) << 4u));
}
const UNIT_${k + 4} = UNIT;
//#end
// The group whose chunks 0 and 4 are this one's 1 and 5: what a loop over the words goes on with.
fn next_chunk(group: Group) -> Group {
  return Group(group.q.yzwx, group.high >> vec2u(2u));
}
