// matvec: y[m, n] = sum over k of W[n, k] * x[m, k] for a group of at most 8 rows m, weights read once for the group.
// Layout    weights: [panel of 64 outputs][block][word][output in panel], see weightLayout.ts. x: [row, columns], y: [row, y_stride].
// Grid      one panel a workgroup, folded over x and y; 16 invocations a lane, 4 outputs each.
// Numerics  f32. A block's products are summed apart from its scale. LANES share the blocks of a row, round robin; their sums
//           are added in order of lanes. Neither ROWS nor the grid changes the order of any row's sum.
const PANEL = 64u;
const LANES = ${LANES}u;
struct Shape {
  blocks: u32,
  panels: u32,
  outputs: u32,
  x_stride: u32,      // vec4s
  y_stride: u32,
  y_offset: u32,
  accumulate: u32,    // 1: y += instead of y =
  unused: u32,
}
@group(0) @binding(0) var<storage, read> weights: array<u32>;
@group(0) @binding(1) var<storage, read> x: array<vec4f>;
@group(0) @binding(2) var<storage, read_write> y: array<f32>;
@group(0) @binding(3) var<uniform> shape: Shape;
//#include ${BLOCK}
//#if SHARED
var<workgroup> partial: array<f32, ${PARTIALS}>;
//#end

fn sum4(v: vec4f) -> f32 {
  return (v.x + v.y) + (v.z + v.w);
}

@compute @workgroup_size(16, ${LANES})
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_id) local: vec3u) {
  let panel = group.x + group.y * groups.x;
  if (panel >= shape.panels) {
    return;
  }
  //#repeat m ROWS
  let x_at_${m} = ${m}u * shape.x_stride;
  //#repeat r 4
  var a_${r}_${m} = 0.0;
  //#if UNSCALED
  var t_${r}_${m} = vec4f();
  //#end
  //#end
  //#end
  for (var block = local.y; block < shape.blocks; block += LANES) {
    let at = (panel * shape.blocks + block) * ${BLOCK_WORDS * PANEL} + local.x;
    let column = block * ${BLOCK_COLUMNS / 4};
    //#if SCALED
    //#repeat m ROWS
    var s_${m} = vec4f();
    //#repeat r 4
    var t_${r}_${m} = vec4f();
    //#end
    //#end
    //#end
    for (var i = 0u; i < ${LOTS}u; i++) {
      //#repeat r 4
      let lot_${r} = block_lot(at + i * ${LOT_WORDS * PANEL}u + ${SCALE_WORDS * PANEL + r * 16}u);
      //#repeat c CHUNKS
      let w_${r}_${c} = chunk_${c}(lot_${r});
      //#end
      //#end
      //#repeat m ROWS
      {
        //#repeat c CHUNKS
        let x_${c} = x[x_at_${m} + column + i + ${c * LOTS}u];
        //#if MINIMUM
        s_${m} += x_${c};
        //#end
        //#repeat r 4
        t_${r}_${m} += w_${r}_${c} * x_${c};
        //#end
        //#end
      }
      //#end
    }
    //#if SCALED
    //#repeat r 4
    let scale_${r} = block_scale(at + ${r * 16}u);
    //#repeat m ROWS
    //#if MINIMUM
    a_${r}_${m} += scale_${r}.x * sum4(t_${r}_${m} * CHUNK_UNIT) + scale_${r}.y * sum4(s_${m});
    //#else
    a_${r}_${m} += scale_${r}.x * sum4(t_${r}_${m} * CHUNK_UNIT);
    //#end
    //#end
    //#end
    //#end
  }
  //#if UNSCALED
  //#repeat m ROWS
  //#repeat r 4
  a_${r}_${m} = sum4(t_${r}_${m});
  //#end
  //#end
  //#end
  //#if SHARED
  //#repeat m ROWS
  //#repeat r 4
  partial[(local.y * 16u + local.x) * ${4 * ROWS}u + ${r * ROWS + m}u] = a_${r}_${m};
  //#end
  //#end
  workgroupBarrier();
  if (local.y != 0u) {
    return;
  }
  for (var lane = 1u; lane < LANES; lane++) {
    //#repeat m ROWS
    //#repeat r 4
    a_${r}_${m} += partial[(lane * 16u + local.x) * ${4 * ROWS}u + ${r * ROWS + m}u];
    //#end
    //#end
  }
  //#end
  let first = panel * PANEL + local.x;
  //#repeat r 4
  if (first + ${r * 16}u < shape.outputs) {
    //#repeat m ROWS
    {
      let y_at = ${m}u * shape.y_stride + shape.y_offset + first + ${r * 16}u;
      var sum = a_${r}_${m};
      if (shape.accumulate != 0u) {
        sum = y[y_at] + sum;
      }
      y[y_at] = sum;
    }
    //#end
  }
  //#end
}
