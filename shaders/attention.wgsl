// attention: softmax(q·K^T · scale)·V over the paged KV cache, for TILE query vectors that share a KV head and a block table.
// Decode    the vectors are the heads of one row that share the KV head; positions are cut at multiples of SPLIT, each part's
//           sums go to `partials`, and attention_combine adds them in order.
// Prompt    the vectors are (row, head) of one piece, in order; one workgroup runs over all positions.
// Grid      decode: x = KV head and tile, y = row, z = split. Prompt: x = KV head, y = tile.
// Numerics  f32, online softmax over blocks of 32 positions from position 0. A block that a row may not see leaves its sums as
//           they are, bit by bit; so a row's result depends on its own keys alone.
const BLOCK = 32u;
const HIDDEN = -3.0e38;
struct Shape {
  heads: u32,
  kv_heads: u32,
  scale: f32,
  splits: u32,        // capacity of `partials`
  head_vec4s: u32,    // not a constant: Mesa would unroll the loop and compile for half a minute
  soft_cap: f32,      // 0: none
  window: u32,        // positions that a row sees, its own included
  unused: u32,
}
@group(0) @binding(0) var<storage, read> qkv: array<vec4f>;
@group(0) @binding(1) var<storage, read> keys: array<u32>;
@group(0) @binding(2) var<storage, read> values: array<u32>;
@group(0) @binding(3) var<storage, read_write> result: array<f32>;
@group(0) @binding(4) var<uniform> shape: Shape;
//#include work
var<workgroup> scores: array<f32, ${TILE * 32}>;
var<workgroup> maximum: array<f32, ${TILE}>;
var<workgroup> total: array<f32, ${TILE}>;
var<workgroup> rescale: array<f32, ${TILE}>;

// tanh overflows to NaN on some adapters; beyond 15 it is 1.
fn capped(score: f32) -> f32 {
  if (shape.soft_cap == 0.0) {
    return score;
  }
  return shape.soft_cap * tanh(clamp(score / shape.soft_cap, -15.0, 15.0));
}

// First position that a row at `position` sees.
fn seen_from(position: u32) -> u32 {
  return select(0u, position + 1u - shape.window, position >= shape.window);
}

@compute @workgroup_size(32)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) lane: u32) {
  let share = shape.heads / shape.kv_heads; // heads of one KV head
  let q_stride = (shape.heads + 2u * shape.kv_heads) * ${HEAD / 4}u;
  //#if DECODE
  let tiles = (share + ${TILE - 1}u) / ${TILE}u;
  let kv_head = group.x / tiles;
  let vector = (group.x % tiles) * ${TILE}u;
  let vectors = share;
  let first_row = group.y;
  let info = rows[work.row_base + first_row];
  let tile_last = info.position;
  let split = seen_from(tile_last) / ${SPLIT}u + group.z;
  if (split * ${SPLIT}u > tile_last) {
    return;
  }
  let block_first = max(split * ${SPLIT / 32}u, seen_from(tile_last) / BLOCK);
  let block_end = min((split + 1u) * ${SPLIT / 32}u, tile_last / BLOCK + 1u);
  //#else
  let kv_head = group.x;
  let vector = group.y * ${TILE}u;
  let vectors = work.row_count * share;
  let first_row = work.row_first;
  let info = rows[work.row_base + first_row];
  let block_first = seen_from(info.position + vector / share) / BLOCK;
  let tile_last = info.position + min(vector + ${TILE - 1}u, vectors - 1u) / share;
  let block_end = tile_last / BLOCK + 1u;
  //#end
  //#repeat v TILE
  let vector_${v} = min(vector + ${v}u, vectors - 1u);
  //#if DECODE
  let row_${v} = first_row;
  let head_${v} = kv_head * share + vector_${v};
  let last_${v} = tile_last;
  //#else
  let row_${v} = first_row + vector_${v} / share;
  let head_${v} = kv_head * share + vector_${v} % share;
  let last_${v} = info.position + vector_${v} / share;
  //#end
  let first_${v} = seen_from(last_${v});
  let q_${v} = row_${v} * q_stride + head_${v} * ${HEAD / 4}u;
  //#repeat j PAIRS
  var a_${v}_${j} = vec2f();
  //#end
  //#end
  if (lane < ${TILE}u) {
    maximum[lane] = HIDDEN;
    total[lane] = 0.0;
  }
  for (var b = block_first; b < block_end; b++) {
    let base = (tables[info.table + b] * shape.kv_heads + kv_head) * ${HEAD * 32 / KV_PER_WORD}u;
    //#repeat v TILE
    var s_${v} = 0.0;
    //#end
    for (var d = 0u; d < shape.head_vec4s; d++) {
      //#if KV_F16
      let k_at = base + d * 64u + lane;
      let k = vec4f(unpack2x16float(keys[k_at]), unpack2x16float(keys[k_at + 32u]));
      //#else
      let k_at = base + d * 128u + lane;
      let k = bitcast<vec4f>(vec4u(keys[k_at], keys[k_at + 32u], keys[k_at + 64u], keys[k_at + 96u]));
      //#end
      //#repeat v TILE
      s_${v} += dot(qkv[q_${v} + d], k);
      //#end
    }
    let position = b * BLOCK + lane;
    //#repeat v TILE
    scores[${v * 32}u + lane] = select(HIDDEN, capped(s_${v} * shape.scale), position >= first_${v} && position <= last_${v});
    //#end
    workgroupBarrier();
    let count = min(BLOCK, tile_last - b * BLOCK + 1u);
    if (lane < ${TILE}u) {
      let at = lane * BLOCK;
      var best = maximum[lane];
      for (var i = 0u; i < count; i++) {
        best = max(best, scores[at + i]);
      }
      let factor = exp(maximum[lane] - best);
      var sum = total[lane] * factor;
      for (var i = 0u; i < count; i++) {
        let score = scores[at + i];
        let weight = select(0.0, exp(score - best), score > HIDDEN);
        scores[at + i] = weight;
        sum += weight;
      }
      maximum[lane] = best;
      total[lane] = sum;
      rescale[lane] = factor;
    }
    workgroupBarrier();
    //#repeat j PAIRS
    if (lane + ${j * 32}u < ${HEAD / 2}u) {
      //#repeat v TILE
      a_${v}_${j} *= rescale[${v}];
      //#end
      //#if KV_F16
      var v_at = base + lane + ${j * 32}u;
      //#else
      var v_at = base + 2u * (lane + ${j * 32}u);
      //#end
      for (var i = 0u; i < count; i++) {
        //#if KV_F16
        let value = unpack2x16float(values[v_at]);
        //#else
        let value = bitcast<vec2f>(vec2u(values[v_at], values[v_at + 1u]));
        //#end
        v_at += ${HEAD / KV_PER_WORD}u;
        //#repeat v TILE
        a_${v}_${j} += scores[${v * 32}u + i] * value;
        //#end
      }
    }
    //#end
    workgroupBarrier();
  }
  //#repeat v TILE
  if (vector + ${v}u < vectors) {
    //#if DECODE
    let to = ((row_${v} * shape.heads + head_${v}) * shape.splits + group.z) * ${HEAD + 2}u;
    if (lane == 0u) {
      result[to] = maximum[${v}];
      result[to + 1u] = total[${v}];
    }
    let to_values = to + 2u;
    let share_of_total = 1.0;
    //#else
    let to_values = (row_${v} * shape.heads + head_${v}) * ${HEAD}u;
    let share_of_total = 1.0 / total[${v}];
    //#end
    //#repeat j PAIRS
    if (lane + ${j * 32}u < ${HEAD / 2}u) {
      result[to_values + 2u * (lane + ${j * 32}u)] = a_${v}_${j}.x * share_of_total;
      result[to_values + 2u * (lane + ${j * 32}u) + 1u] = a_${v}_${j}.y * share_of_total;
    }
    //#end
  }
  //#end
}
