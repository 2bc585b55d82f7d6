// matvec: y[m, n] = sum over k of W[n, k] * x[m, k] for a group of at most 8 rows m, weights read once for the group.
//   NORMED  x is RMS-normed on the way: x * norm / rms(x); the 1 / rms is applied to the sums.
//   BIASED  bias[n] is added.
//   GATED   panels alternate between gate and up; y[m, n] = activation(gate) * up. SiLU, or GELU (tanh) with GELU.
// Layout    weights: see block.wgsl; bound twice, as words and as quads. x: [row, columns], y: [row, y_stride].
// Grid      a workgroup has WIDTH x OUTPUTS outputs of a panel (GATED: half as many, of both panels of a pair), folded over x and y;
//           an invocation has OUTPUTS of them, WIDTH apart.
// Numerics  f32. A group's (or half group's) products are summed apart from its scale, in four-column dot products. LANES share the
//           blocks of a row, round robin; their sums are added in order of lanes. ROWS, OUTPUTS, WIDTH, SUBGROUP change no sum's order.
//           Squares of a norm are summed as in rms_norm: 32 lanes, then in order.
//#if SUBGROUP
enable subgroups;
// Every loop here is the same for a whole workgroup; the compiler cannot see it through the uniform's values.
diagnostic(off, subgroup_uniformity);
//#end
const LANES = ${LANES}u;
const WIDTH = ${WIDTH}u;
const INVOCATIONS = WIDTH * LANES;
const NORM_LANES = 32u;
struct Shape {
  blocks: u32,
  panels: u32,        // GATED: pairs of panels
  outputs: u32,
  x_stride: u32,      // vec4s
  y_stride: u32,
  y_offset: u32,
  accumulate: u32,    // 1: y += instead of y =
  epsilon: f32,
}
@group(0) @binding(0) var<storage, read> weights: array<u32>;
@group(0) @binding(1) var<storage, read> quads: array<vec4u>;
@group(0) @binding(2) var<storage, read> x: array<vec4f>;
@group(0) @binding(3) var<storage, read> norm: array<vec4f>;
@group(0) @binding(4) var<storage, read> bias: array<f32>;
@group(0) @binding(5) var<storage, read_write> y: array<f32>;
@group(0) @binding(6) var<uniform> shape: Shape;
//#include ${BLOCK}
//#if SHARED_VALUES
var<workgroup> values: array<f32, ${SHARED_VALUES}>;
//#end
//#if NORMED
var<workgroup> inverses: array<f32, ${ROWS}>;
//#end

fn sum4(v: vec4f) -> f32 {
  return (v.x + v.y) + (v.z + v.w);
}

fn dot4(a: vec4f, b: vec4f) -> f32 {
  return (a.x * b.x + a.y * b.y) + (a.z * b.z + a.w * b.w);
}

@compute @workgroup_size(${WIDTH}, ${LANES})
fn main(
  @builtin(workgroup_id) group_id: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_id) local: vec3u,
  @builtin(local_invocation_index) invocation: u32,
  //#if SUBGROUP
  @builtin(subgroup_invocation_id) subgroup_lane: u32,
  //#end
) {
  let workgroup = group_id.x + group_id.y * groups.x;
  let panel = workgroup / ${SLICES}u;
  if (panel >= shape.panels) {
    return;
  }
  let blocks = shape.blocks;
  let x_stride = shape.x_stride;
  let first = (workgroup % ${SLICES}u) * ${PANEL_SHARE}u * WIDTH + local.x;
  //#if NORMED
  for (var lane = invocation; lane < NORM_LANES; lane += INVOCATIONS) {
    //#repeat m ROWS
    var squares_${m} = 0.0;
    //#end
    for (var column = lane; column < x_stride; column += NORM_LANES) {
      //#repeat m ROWS
      let v_${m} = x[${m}u * x_stride + column];
      squares_${m} += dot(v_${m}, v_${m});
      //#end
    }
    //#repeat m ROWS
    values[${m}u * NORM_LANES + lane] = squares_${m};
    //#end
  }
  workgroupBarrier();
  if (invocation < ${ROWS}u) {
    var squares = 0.0;
    for (var lane = 0u; lane < NORM_LANES; lane++) {
      squares += values[invocation * NORM_LANES + lane];
    }
    inverses[invocation] = 1.0 / sqrt(squares / f32(x_stride * 4u) + shape.epsilon);
  }
  workgroupBarrier();
  //#end
  //#repeat p PANELS_AT_ONCE
  //#repeat r PANEL_SHARE
  let place_${p}_${r} = place_of(panel * ${PANELS_AT_ONCE}u + ${p}u, first + ${r}u * WIDTH, blocks);
  //#repeat m ROWS
  var sum_${p}_${r}_${m} = 0.0;
  //#end
  //#end
  //#end
  //#if SPREAD
  for (var block = local.y; block < blocks; block += LANES) {
  //#else
  for (var block = 0u; block < blocks; block++) {
  //#end
    //#repeat p PANELS_AT_ONCE
    //#repeat r PANEL_SHARE
    let head_${p}_${r} = load_head(place_${p}_${r}, block);
    //#end
    //#end
    //#if WIDE
    // The bound is no constant: Mesa would unroll the loop, and compile for a minute.
    for (var g = 0u; g < min(${GROUPS}u, blocks * ${GROUPS}u); g++) {
    //#else
    // A loop of one costs SwiftShader half its speed.
    {
      let g = 0u;
    //#end
      let column = (block * ${GROUPS}u + g) * ${CHUNKS}u;
      //#repeat m ROWS
      //#repeat h SPLITS
      //#if MINIMUM
      var s_${m}_${h} = 0.0;
      //#end
      //#repeat p PANELS_AT_ONCE
      //#repeat r PANEL_SHARE
      var t_${p}_${r}_${m}_${h} = 0.0;
      //#end
      //#end
      //#end
      //#end
      //#repeat p PANELS_AT_ONCE
      //#repeat r PANEL_SHARE
      let group_${p}_${r} = load_group(place_${p}_${r}, head_${p}_${r}, block, g);
      //#end
      //#end
      //#if SUBGROUP
      // Each invocation loads one vec4 of x, and all get it from there: loads are what software adapters are slowest at.
      let mine = column + subgroup_lane % ${SUBGROUP}u;
      //#repeat l SUBGROUP_LOADS
      //#if NORMED
      let norm_${l} = norm[mine + ${l * SUBGROUP}u];
      //#end
      //#repeat m ROWS
      //#if NORMED
      let mine_${m}_${l} = x[${m}u * x_stride + mine + ${l * SUBGROUP}u] * norm_${l};
      //#else
      let mine_${m}_${l} = x[${m}u * x_stride + mine + ${l * SUBGROUP}u];
      //#end
      //#end
      //#end
      //#end
      //#repeat i HALF_CHUNKS
      {
        //#repeat h HALVES
        //#if NORMED_HERE
        let norm_${h} = norm[column + ${h * HALF_CHUNKS + i}u];
        //#end
        //#repeat m ROWS
        //#if SUBGROUP
        let x_${m}_${h} = subgroupBroadcast(mine_${m}_${h * LOAD_STEP}, ${h * LANE_STEP + i}u);
        //#else
        //#if NORMED
        let x_${m}_${h} = x[${m}u * x_stride + column + ${h * HALF_CHUNKS + i}u] * norm_${h};
        //#else
        let x_${m}_${h} = x[${m}u * x_stride + column + ${h * HALF_CHUNKS + i}u];
        //#end
        //#end
        //#if MINIMUM
        s_${m}_${h * (SPLITS - 1)} += sum4(x_${m}_${h});
        //#end
        let u_${m}_${h} = x_${m}_${h} * UNIT_${h * HALF_CHUNKS + i};
        //#end
        //#end
        //#repeat p PANELS_AT_ONCE
        //#repeat r PANEL_SHARE
        //#repeat h HALVES
        {
          let w = chunk_${h * HALF_CHUNKS + i}(group_${p}_${r});
          //#repeat m ROWS
          t_${p}_${r}_${m}_${h * (SPLITS - 1)} += dot4(w, u_${m}_${h});
          //#end
        }
        //#end
        //#end
        //#end
      }
      //#end
      //#repeat p PANELS_AT_ONCE
      //#repeat r PANEL_SHARE
      {
        //#if SCALED
        let scales = group_scales(head_${p}_${r}, g);
        //#end
        //#repeat m ROWS
        //#repeat h SPLITS
        //#if CENTER
        // Not with the minimum: compilers may factor the scale out, and do so for one row but not for two (Mesa).
        sum_${p}_${r}_${m} += scales[${2 * h}] * (t_${p}_${r}_${m}_${h} - ${CENTER}.0 * s_${m}_${h});
        //#else
        //#if MINIMUM
        sum_${p}_${r}_${m} += scales[${2 * h}] * t_${p}_${r}_${m}_${h} + scales[${2 * h + 1}] * s_${m}_${h};
        //#else
        //#if SCALED
        sum_${p}_${r}_${m} += scales[${2 * h}] * t_${p}_${r}_${m}_${h};
        //#else
        sum_${p}_${r}_${m} += t_${p}_${r}_${m}_${h};
        //#end
        //#end
        //#end
        //#end
        //#end
      }
      //#end
      //#end
    }
  }
  //#if SPREAD
  if (local.y != 0u) {
    //#repeat p PANELS_AT_ONCE
    //#repeat r PANEL_SHARE
    //#repeat m ROWS
    values[((local.y - 1u) * ${OUTPUTS * ROWS}u + ${(p * PANEL_SHARE + r) * ROWS + m}u) * WIDTH + local.x] = sum_${p}_${r}_${m};
    //#end
    //#end
    //#end
  }
  workgroupBarrier();
  if (local.y != 0u) {
    return;
  }
  for (var lane = 1u; lane < LANES; lane++) {
    //#repeat p PANELS_AT_ONCE
    //#repeat r PANEL_SHARE
    //#repeat m ROWS
    sum_${p}_${r}_${m} += values[((lane - 1u) * ${OUTPUTS * ROWS}u + ${(p * PANEL_SHARE + r) * ROWS + m}u) * WIDTH + local.x];
    //#end
    //#end
    //#end
  }
  //#end
  //#repeat m ROWS
  //#if NORMED
  let inverse_${m} = inverses[${m}];
  //#end
  //#end
  //#repeat r PANEL_SHARE
  {
    let output = panel * PANEL + first + ${r}u * WIDTH;
    if (output < shape.outputs) {
      //#repeat m ROWS
      {
        let y_at = ${m}u * shape.y_stride + shape.y_offset + output;
        var value = sum_0_${r}_${m};
        //#if NORMED
        value *= inverse_${m};
        //#end
        //#if BIASED
        value += bias[output];
        //#end
        //#if GATED
        var up = sum_${PANELS_AT_ONCE - 1}_${r}_${m};
        //#if NORMED
        up *= inverse_${m};
        //#end
        //#if GELU
        let z = 1.5957691216057308 * (value + 0.044715 * value * value * value);
        //#else
        let z = value;
        //#end
        // Below -80 the sigmoid is 0 in f32 anyway; the bound keeps exp finite.
        value = value / (1.0 + exp(min(-z, 80.0))) * up;
        //#end
        if (shape.accumulate != 0u) {
          value += y[y_at];
        }
        y[y_at] = value;
      }
      //#end
    }
  }
  //#end
}
