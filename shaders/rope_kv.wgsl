// rope_kv: what lies between the projection of queries, keys and values and attention: adds biases (BIAS), RMS-norms each head's query
// and key (NORM), rotates them, leaves the queries in place and writes keys and values into the paged KV cache.
// Layout    qkv: [row, queries | keys | values]. vectors: [biases of a row of qkv] (BIAS), [query norm | key norm] (NORM).
//           keys: [block][kv head][word of a head][position in block]; values: [block][kv head][position in block][word of a
//           head]. A word is one f32, or two f16 of neighboring dimensions.
// Rotation  pair i is dimensions (2i, 2i+1), or with HALVES (i, i + rotated pairs).
// Grid      one head of one row a workgroup in (x, y), 32 lanes. Where a lane needs other lanes' elements (STAGED) they meet in
//           workgroup memory; each lane adds the 32 partial sums itself, in order.
// Numerics  cosine and sine come from the CPU in f64, rounded to f32: position 8,191 is as exact as position 1.
struct Shape {
  heads: u32,
  kv_heads: u32,
  rotated_pairs: u32, // of each head
  angle_offset: u32,  // where this layer's angles begin among a row's
  angle_stride: u32,  // pairs of angles of one row
  epsilon: f32,
  unused_0: u32,
  unused_1: u32,
}
const BLOCK = 32u;
const HEAD = ${HEAD}u;
const PAIRS = ${HEAD / 2}u;
@group(0) @binding(0) var<storage, read_write> qkv: array<f32>;
@group(0) @binding(1) var<storage, read_write> keys: array<u32>;
@group(0) @binding(2) var<storage, read_write> values: array<u32>;
@group(0) @binding(3) var<storage, read> vectors: array<f32>;
@group(0) @binding(4) var<uniform> shape: Shape;
//#include work
//#if STAGED
var<workgroup> staged: array<f32, ${HEAD}>;
//#end
//#if NORM
var<workgroup> partial: array<f32, 32>;
//#end

//#if KV_F16
fn pack(v: vec2f) -> u32 {
  return pack2x16float(clamp(v, vec2f(-65504.0), vec2f(65504.0)));
}
//#end

fn rotate(v: vec2f, angle: vec2f) -> vec2f {
  return vec2f(v.x * angle.x - v.y * angle.y, v.x * angle.y + v.y * angle.x);
}

@compute @workgroup_size(32)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) lane: u32) {
  let row = group.y;
  let head = group.x;
  let begin = (row * (shape.heads + 2u * shape.kv_heads) + head) * HEAD;
  let is_value = head >= shape.heads + shape.kv_heads;
  //#if STAGED
  //#if NORM
  var squares = 0.0;
  //#end
  for (var d = lane; d < HEAD; d += 32u) {
    //#if BIAS
    let element = qkv[begin + d] + vectors[head * HEAD + d];
    //#else
    let element = qkv[begin + d];
    //#end
    staged[d] = element;
    //#if NORM
    squares += element * element;
    //#end
  }
  //#if NORM
  partial[lane] = squares;
  //#end
  workgroupBarrier();
  //#if NORM
  if (!is_value) {
    var sum = 0.0;
    for (var i = 0u; i < 32u; i++) {
      sum += partial[i];
    }
    let scale = 1.0 / sqrt(sum / f32(HEAD) + shape.epsilon);
    //#if BIAS
    let biases = (shape.heads + 2u * shape.kv_heads) * HEAD;
    //#else
    let biases = 0u;
    //#end
    let weight_at = biases + select(HEAD, 0u, head < shape.heads);
    for (var d = lane; d < HEAD; d += 32u) {
      staged[d] = staged[d] * scale * vectors[weight_at + d];
    }
  }
  workgroupBarrier();
  //#end
  //#end
  let info = rows[work.row_base + row];
  let block = tables[info.table + info.position / BLOCK];
  let slot = info.position % BLOCK;
  let kv_head = (head - shape.heads) % shape.kv_heads;
  let base = (block * shape.kv_heads + kv_head) * BLOCK * PAIRS;
  let angles_at = (work.row_base + row) * shape.angle_stride + shape.angle_offset;
  for (var pair = lane; pair < PAIRS; pair += 32u) {
    let d = 2u * pair;
    //#if STAGED
    var v = vec2f(staged[d], staged[d + 1u]);
    //#else
    var v = vec2f(qkv[begin + d], qkv[begin + d + 1u]);
    //#if BIAS
    v += vec2f(vectors[head * HEAD + d], vectors[head * HEAD + d + 1u]);
    //#end
    //#end
    if (!is_value) {
      //#if HALVES
      let half = shape.rotated_pairs;
      //#repeat e 2
      if (d + ${e}u < half) {
        v[${e}] = rotate(vec2f(v[${e}], staged[d + ${e}u + half]), angles[angles_at + d + ${e}u]).x;
      } else if (d + ${e}u < 2u * half) {
        v[${e}] = rotate(vec2f(staged[d + ${e}u - half], v[${e}]), angles[angles_at + d + ${e}u - half]).y;
      }
      //#end
      //#else
      if (pair < shape.rotated_pairs) {
        v = rotate(v, angles[angles_at + pair]);
      }
      //#end
    }
    if (head < shape.heads) {
      qkv[begin + d] = v.x;
      qkv[begin + d + 1u] = v.y;
      continue;
    }
    //#if KV_F16
    if (is_value) {
      values[base + slot * PAIRS + pair] = pack(v);
    } else {
      keys[base + pair * BLOCK + slot] = pack(v);
    }
    //#else
    let bits = bitcast<vec2u>(v);
    if (is_value) {
      values[2u * (base + slot * PAIRS + pair)] = bits.x;
      values[2u * (base + slot * PAIRS + pair) + 1u] = bits.y;
    } else {
      keys[2u * base + d * BLOCK + slot] = bits.x;
      keys[2u * base + (d + 1u) * BLOCK + slot] = bits.y;
    }
    //#end
  }
}
