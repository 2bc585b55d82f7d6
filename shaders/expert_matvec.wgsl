// expert_matvec: y[r, s, n] = sum over k of W[e, n, k] * x[k] for each row r and each of its chosen experts e = routes[r, s].expert; x
// is row r, or (SLOTS) row (r, s). Experts of other parts are left alone. Reads the weights of the chosen experts only.
// Layout    weights: the panels of one expert after the other's, see block.wgsl. y: [row, slot, y_stride].
// Grid      x = panel, y = slot, z = row. One output an invocation.
// Numerics  f32; a block's products are summed apart from its scale, blocks in order: the same whatever else is in the dispatch.
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

fn dot4(a: vec4f, b: vec4f) -> f32 {
  return (a.x * b.x + a.y * b.y) + (a.z * b.z + a.w * b.w);
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
  let place = place_of(expert * shape.panels + group.x, lane, shape.blocks);
  var sum = 0.0;
  for (var block = 0u; block < shape.blocks; block++) {
    let head = load_head(place, block);
    //#if WIDE
    // The bound is no constant: Mesa would unroll the loop, and compile for a minute.
    for (var g = 0u; g < min(${GROUPS}u, shape.blocks * ${GROUPS}u); g++) {
    //#else
    // A loop of one costs SwiftShader half its speed.
    {
      let g = 0u;
    //#end
      let bits = load_group(place, head, block, g);
      let column = x_at + (block * ${GROUPS}u + g) * ${CHUNKS}u;
      //#if SCALED
      let scales = group_scales(head, g);
      //#end
      //#repeat h SPLITS
      {
        var t = 0.0;
        var s = 0.0;
        //#repeat i CHUNKS/SPLITS
        {
          let v = x[column + ${h * CHUNKS / SPLITS + i}u];
          t += dot4(chunk_${h * CHUNKS / SPLITS + i}(bits), v * UNIT_${h * CHUNKS / SPLITS + i});
          s += sum4(v);
        }
        //#end
        //#if MINIMUM
        sum += scales[${2 * h}] * t + scales[${2 * h + 1}] * s;
        //#else
        //#if SCALED
        sum += scales[${2 * h}] * t;
        //#else
        sum += t;
        //#end
        //#end
      }
      //#end
    }
  }
  y[slot * shape.y_stride + shape.y_offset + n] = sum;
}
