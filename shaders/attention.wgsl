// attention: softmax(q·K^T * scale)·V over the paged KV cache, for PACKS x PACK query vectors that share a KV head and a block table.
// Decode    the vectors are the heads of one row that share the KV head; positions are cut at multiples of SPLIT. With PARTIAL each
//           split's sums go to `result`, for attention_combine; else all rows lie within one split, and the result is written.
// Prompt    the vectors are (row, head) of one piece, in order; one workgroup goes from split to split.
// Grid      decode: x = KV head and tile, y = row, z = split. Prompt: x = KV head, y = tile.
// Split     64 invocations. Each scores four positions for all vectors; then maxima, weights and sums by way of workgroup memory; then
//           each adds up four words of the values, of every GROUPS-th position.
// Numerics  f32. Positions of a split are added in an order that their places in it give; splits follow each other from position 0. A
//           position that a row may not see leaves its sums as they are, bit by bit: its result depends on its own keys alone.
const BLOCK = 32u;
const SPLIT = 256u;
const LANES = 64u;
const HIDDEN = -3.0e38;
const QUADS = ${QUADS}u;   // of a head, in the cache: four words each
const GROUPS = ${GROUPS}u; // of invocations that share a position's values
struct Shape {
  heads: u32,
  kv_heads: u32,
  scale: f32,
  splits: u32,        // capacity of `result` for each vector (decode)
  head_words: u32,    // not a constant: Mesa would unroll the loop and compile for half a minute
  soft_cap: f32,
  window: u32,        // positions that a row sees, its own included
  eight: u32,         // 8, not a constant either
}
@group(0) @binding(0) var<storage, read> qkv: array<f32>;
@group(0) @binding(1) var<storage, read> keys: array<vec4u>;
@group(0) @binding(2) var<storage, read> values: array<vec4u>;
@group(0) @binding(3) var<storage, read_write> result: array<vec4f>;
@group(0) @binding(4) var<uniform> shape: Shape;
//#include work
// A pack is up to four vectors, one a component.
var<workgroup> q_tile: array<vec4f, ${HEAD * PACKS}>;  // [dimension][pack]
var<workgroup> p_tile: array<vec4f, ${256 * PACKS}>;   // weights [position][pack]; before and after: what invocations tell each other
var<workgroup> sums: array<vec4f, ${64 * PACKS}>;      // [pack][invocation]
var<workgroup> eighths: array<vec4f, ${8 * PACKS}>;    // [pack][eighth of the invocations]
var<workgroup> bases: array<u32, 8>;                   // where the split's blocks begin in the cache, in quads

//#if CAPPED
// tanh overflows to NaN on some adapters; beyond 15 it is 1.
fn capped(scores: vec4f) -> vec4f {
  return shape.soft_cap * tanh(clamp(scores / shape.soft_cap, vec4f(-15.0), vec4f(15.0)));
}
//#else
fn capped(scores: vec4f) -> vec4f {
  return scores;
}
//#end

// First position that a row at `position` sees.
fn seen_from(position: u32) -> u32 {
  return select(0u, position + 1u - shape.window, position >= shape.window);
}

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) lane: u32) {
  let share = shape.heads / shape.kv_heads; // heads of one KV head
  let q_stride = (shape.heads + 2u * shape.kv_heads) * ${HEAD}u;
  //#if DECODE
  let tiles = (share + ${PACKS * PACK - 1}u) / ${PACKS * PACK}u;
  let kv_head = group.x / tiles;
  let vector = (group.x % tiles) * ${PACKS * PACK}u;
  let vectors = share;
  let first_row = group.y;
  let info = rows[work.row_base + first_row];
  let tile_last = info.position;
  let tile_first = seen_from(tile_last);
  let split = tile_first / SPLIT + group.z;
  if (split * SPLIT > tile_last) {
    return;
  }
  //#else
  let kv_head = group.x;
  let vector = group.y * ${PACKS * PACK}u;
  let vectors = work.row_count * share;
  let first_row = work.row_first;
  let info = rows[work.row_base + first_row];
  let tile_last = info.position + min(vector + ${PACKS * PACK - 1}u, vectors - 1u) / share;
  let tile_first = seen_from(info.position + vector / share);
  //#end
  for (var item = lane; item < ${HEAD * PACKS}u; item += LANES) {
    var q = vec4f();
    //#repeat c PACK
    {
      let v = min(vector + item % ${PACKS}u * ${PACK}u + ${c}u, vectors - 1u);
      //#if DECODE
      q[${c}] = qkv[first_row * q_stride + (kv_head * share + v) * ${HEAD}u + item / ${PACKS}u];
      //#else
      q[${c}] = qkv[(first_row + v / share) * q_stride + (kv_head * share + v % share) * ${HEAD}u + item / ${PACKS}u];
      //#end
    }
    //#end
    q_tile[item] = q;
  }
  //#repeat t PACKS
  var best_${t} = vec4f(HIDDEN);
  var total_${t} = vec4f();
  //#repeat c PACK
  //#if DECODE
  let last_${t}_${c} = tile_last;
  let first_${t}_${c} = tile_first;
  //#else
  let last_${t}_${c} = info.position + min(vector + ${t * PACK + c}u, vectors - 1u) / share;
  let first_${t}_${c} = seen_from(last_${t}_${c});
  //#end
  //#repeat h HALVES
  var a_${t}_${c}_${h} = vec4f();
  //#end
  //#end
  //#end
  let quad = lane % QUADS;
  let value_group = lane / QUADS;
  //#if DECODE
  {
  //#else
  for (var split = tile_first / SPLIT; split * SPLIT <= tile_last; split++) {
  //#end
    let split_first = split * SPLIT;
    if (lane < 8u) {
      let block = min(split_first / BLOCK + lane, tile_last / BLOCK);
      bases[lane] = (tables[info.table + block] * shape.kv_heads + kv_head) * BLOCK * QUADS;
    }
    workgroupBarrier();
    let position = split_first + 4u * lane;
    let positions = vec4u(position, position + 1u, position + 2u, position + 3u);
    let scored = position <= tile_last && position + 3u >= tile_first;
    let words = select(0u, shape.head_words, scored);
    var k_at = bases[lane / 8u] + lane % 8u;
    //#repeat t PACKS
    //#repeat c PACK
    var s_${t}_${c} = vec4f();
    //#end
    //#end
    for (var word = 0u; word < words; word++) {
      let k = keys[k_at];
      k_at += 8u;
      //#if KV_F16
      let k_x = unpack2x16float(k.x);
      let k_y = unpack2x16float(k.y);
      let k_z = unpack2x16float(k.z);
      let k_w = unpack2x16float(k.w);
      let k_0 = vec4f(k_x.x, k_y.x, k_z.x, k_w.x);
      let k_1 = vec4f(k_x.y, k_y.y, k_z.y, k_w.y);
      //#else
      let k_0 = bitcast<vec4f>(k);
      //#end
      //#repeat h HALVES
      //#repeat t PACKS
      {
        let q = q_tile[(word * ${HALVES}u + ${h}u) * ${PACKS}u + ${t}u];
        //#repeat c PACK
        s_${t}_${c} = fma(k_${h}, vec4f(q[${c}]), s_${t}_${c});
        //#end
      }
      //#end
      //#end
    }
    //#repeat t PACKS
    {
      var top = vec4f(HIDDEN);
      //#repeat c PACK
      {
        let seen = (positions >= vec4u(first_${t}_${c})) & (positions <= vec4u(last_${t}_${c}));
        let scores = select(vec4f(HIDDEN), capped(s_${t}_${c} * shape.scale), seen);
        s_${t}_${c} = scores;
        top[${c}] = max(max(scores.x, scores.y), max(scores.z, scores.w));
      }
      //#end
      p_tile[${t}u * LANES + lane] = top;
    }
    //#end
    workgroupBarrier();
    if (lane < ${8 * PACKS}u) {
      var top = p_tile[8u * lane];
      for (var i = 1u; i < shape.eight; i++) {
        top = max(top, p_tile[8u * lane + i]);
      }
      eighths[lane] = top;
    }
    workgroupBarrier();
    //#repeat t PACKS
    {
      var best = best_${t};
      for (var i = 0u; i < shape.eight; i++) {
        best = max(best, eighths[${t * 8}u + i]);
      }
      //#if PROMPT
      let factor = select(exp(best_${t} - best), vec4f(1.0), best_${t} == best);
      total_${t} *= factor;
      //#repeat c PACK
      //#repeat h HALVES
      a_${t}_${c}_${h} *= factor[${c}];
      //#end
      //#end
      //#end
      best_${t} = best;
      var sum = vec4f();
      //#repeat c PACK
      s_${t}_${c} = select(vec4f(), exp(s_${t}_${c} - best[${c}]), s_${t}_${c} > vec4f(HIDDEN));
      sum[${c}] = (s_${t}_${c}.x + s_${t}_${c}.y) + (s_${t}_${c}.z + s_${t}_${c}.w);
      //#end
      sums[${t}u * LANES + lane] = sum;
      //#repeat i 4
      {
        var weights = vec4f();
        //#repeat c PACK
        weights[${c}] = s_${t}_${c}[${i}];
        //#end
        p_tile[(4u * lane + ${i}u) * ${PACKS}u + ${t}u] = weights;
      }
      //#end
    }
    //#end
    workgroupBarrier();
    if (lane < ${8 * PACKS}u) {
      var sum = sums[8u * lane];
      for (var i = 1u; i < shape.eight; i++) {
        sum += sums[8u * lane + i];
      }
      eighths[lane] = sum;
    }
    if (value_group < GROUPS) {
      let begin = max(tile_first, split_first) - split_first;
      let end = min(SPLIT, tile_last - split_first + 1u);
      let skipped = max(begin + GROUPS - 1u, value_group) - value_group;
      for (var i = value_group + skipped / GROUPS * GROUPS; i < end; i += GROUPS) {
        let v = values[bases[i / BLOCK] + i % BLOCK * QUADS + quad];
        //#if KV_F16
        let v_0 = vec4f(unpack2x16float(v.x), unpack2x16float(v.y));
        let v_1 = vec4f(unpack2x16float(v.z), unpack2x16float(v.w));
        //#else
        let v_0 = bitcast<vec4f>(v);
        //#end
        //#repeat t PACKS
        {
          let weights = p_tile[i * ${PACKS}u + ${t}u];
          //#repeat c PACK
          //#repeat h HALVES
          a_${t}_${c}_${h} = fma(v_${h}, vec4f(weights[${c}]), a_${t}_${c}_${h});
          //#end
          //#end
        }
        //#end
      }
    }
    workgroupBarrier();
    //#repeat t PACKS
    {
      var sum = eighths[${t * 8}u];
      for (var i = 1u; i < shape.eight; i++) {
        sum += eighths[${t * 8}u + i];
      }
      total_${t} += sum;
    }
    //#end
  }
  workgroupBarrier();
  if (lane == 0u) {
    //#repeat t PACKS
    eighths[${t * 2}u] = total_${t};
    eighths[${t * 2 + 1}u] = best_${t};
    //#end
  }
  //#repeat h HALVES
  //#repeat t PACKS
  //#repeat c PACK
  p_tile[${t * PACK + c}u * LANES + lane] = a_${t}_${c}_${h};
  //#end
  //#end
  workgroupBarrier();
  for (var item = lane; item < ${PACKS * PACK}u * QUADS; item += LANES) {
    let v = item / QUADS;
    let begin = v * LANES + item % QUADS;
    var sum = p_tile[begin];
    for (var i = 1u; i < GROUPS; i++) {
      sum += p_tile[begin + i * QUADS];
    }
    if (vector + v < vectors) {
      let total = eighths[v / ${PACK}u * 2u][v % ${PACK}u];
      //#if DECODE
      let head = first_row * shape.heads + kv_head * share + vector + v;
      //#else
      let head = (first_row + (vector + v) / share) * shape.heads + kv_head * share + (vector + v) % share;
      //#end
      let to = item % QUADS * ${HALVES}u + ${h}u;
      //#if PARTIAL
      let place = (head * shape.splits + group.z) * ${HEAD / 4 + 1}u;
      result[place] = vec4f(eighths[v / ${PACK}u * 2u + 1u][v % ${PACK}u], total, 0.0, 0.0);
      result[place + 1u + to] = sum;
      //#else
      result[head * ${HEAD / 4}u + to] = sum / total;
      //#end
    }
  }
  workgroupBarrier();
  //#end
}
