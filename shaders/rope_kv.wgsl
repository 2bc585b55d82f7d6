// rope_kv: rotates the queries in place, rotates the keys and writes them and the values into the paged KV cache.
// Layout    qkv: [row, queries | keys | values]. keys: [block][kv head][word of a head][position in block]; values:
//           [block][kv head][position in block][word of a head]. A word is one f32, or two f16 of neighbouring dimensions.
// Grid      one row a workgroup in y, 64 pairs of dimensions (2i, 2i+1) in x.
// Numerics  cosine and sine come from the CPU in f64, rounded to f32: position 8,191 is as exact as position 1.
struct Shape {
  heads: u32,
  kv_heads: u32,
  head_pairs: u32,
  rotated_pairs: u32, // of each head
}
const BLOCK = 32u;
@group(0) @binding(0) var<storage, read_write> qkv: array<vec2f>;
@group(0) @binding(1) var<storage, read_write> keys: array<u32>;
@group(0) @binding(2) var<storage, read_write> values: array<u32>;
@group(0) @binding(3) var<uniform> shape: Shape;
//#include work

//#if KV_F16
fn pack(v: vec2f) -> u32 {
  return pack2x16float(clamp(v, vec2f(-65504.0), vec2f(65504.0)));
}
//#end

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) global: vec3u) {
  let row = global.y;
  let pairs = (shape.heads + 2u * shape.kv_heads) * shape.head_pairs;
  if (global.x >= pairs) {
    return;
  }
  let at = row * pairs + global.x;
  let head = global.x / shape.head_pairs;
  let pair = global.x % shape.head_pairs;
  var v = qkv[at];
  let is_value = head >= shape.heads + shape.kv_heads;
  if (!is_value && pair < shape.rotated_pairs) {
    let angle = angles[(work.row_base + row) * shape.rotated_pairs + pair];
    v = vec2f(v.x * angle.x - v.y * angle.y, v.x * angle.y + v.y * angle.x);
  }
  if (head < shape.heads) {
    qkv[at] = v;
    return;
  }
  let info = rows[work.row_base + row];
  let block = tables[info.table + info.position / BLOCK];
  let slot = info.position % BLOCK;
  let kv_head = (head - shape.heads) % shape.kv_heads;
  let base = (block * shape.kv_heads + kv_head) * BLOCK * shape.head_pairs;
  //#if KV_F16
  if (is_value) {
    values[base + slot * shape.head_pairs + pair] = pack(v);
  } else {
    keys[base + pair * BLOCK + slot] = pack(v);
  }
  //#else
  let bits = bitcast<vec2u>(v);
  if (is_value) {
    values[2u * (base + slot * shape.head_pairs + pair)] = bits.x;
    values[2u * (base + slot * shape.head_pairs + pair) + 1u] = bits.y;
  } else {
    keys[2u * base + 2u * pair * BLOCK + slot] = bits.x;
    keys[2u * base + (2u * pair + 1u) * BLOCK + slot] = bits.y;
  }
  //#end
}
