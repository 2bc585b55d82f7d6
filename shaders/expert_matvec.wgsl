// expert_matvec: y[r, s, n] = sum over k of W[e, n, k] * x[k] for each row r and each of its chosen experts e = routes[r, s].expert; x
// is row r, or (SLOTS) row (r, s). Experts of other parts are left alone. Reads the weights of the chosen experts only.
// Layout    weights: [expert][panel of 64 outputs][block][word][output in panel], see weightLayout.ts. y: [row, slot, y_stride].
// Grid      x = panel, y = slot, z = row. One output an invocation.
// Numerics  f32; a block's products are summed apart from its scale, blocks in order: the same whatever else is in the dispatch.
const PANEL = 64u;
struct Shape {
  blocks: u32,
  panels: u32,        // of one expert
  outputs: u32,       // of one expert
  x_stride: u32,      // vec4s
  y_stride: u32,
  y_offset: u32,
  expert_first: u32,
  expert_count: u32,
}
@group(0) @binding(0) var<storage, read> weights: array<u32>;
@group(0) @binding(1) var<storage, read> routes: array<vec2u>;
@group(0) @binding(2) var<storage, read> x: array<vec4f>;
@group(0) @binding(3) var<storage, read_write> y: array<f32>;
@group(0) @binding(4) var<uniform> shape: Shape;
//#include ${BLOCK}

fn sum4(v: vec4f) -> f32 {
  return (v.x + v.y) + (v.z + v.w);
}

@compute @workgroup_size(64)
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) lane: u32,
) {
  let slot = group.z * groups.y + group.y;
  let expert = routes[slot].x - shape.expert_first; // wraps to a large number below the part
  let n = group.x * PANEL + lane;
  if (expert >= shape.expert_count || n >= shape.outputs) {
    return;
  }
  //#if SLOTS
  let x_at = slot * shape.x_stride;
  //#else
  let x_at = group.z * shape.x_stride;
  //#end
  let panel_at = (expert * shape.panels + group.x) * shape.blocks;
  var sum = 0.0;
  //#if UNSCALED
  var t = vec4f();
  //#end
  for (var block = 0u; block < shape.blocks; block++) {
    let at = (panel_at + block) * ${BLOCK_WORDS * PANEL} + lane;
    let column = x_at + block * ${BLOCK_COLUMNS / 4};
    //#if SCALED
    var t = vec4f();
    var s = vec4f();
    //#end
    for (var i = 0u; i < ${LOTS}u; i++) {
      let lot = block_lot(at + i * ${LOT_WORDS * PANEL}u + ${SCALE_WORDS * PANEL}u);
      //#repeat c CHUNKS
      let x_${c} = x[column + i + ${c * LOTS}u];
      t += chunk_${c}(lot) * x_${c};
      //#if MINIMUM
      s += x_${c};
      //#end
      //#end
    }
    //#if SCALED
    let scale = block_scale(at);
    //#if MINIMUM
    sum += scale.x * sum4(t * CHUNK_UNIT) + scale.y * sum4(s);
    //#else
    sum += scale.x * sum4(t * CHUNK_UNIT);
    //#end
    //#end
  }
  //#if UNSCALED
  sum = sum4(t);
  //#end
  y[slot * shape.y_stride + shape.y_offset + n] = sum;
}
