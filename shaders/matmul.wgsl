// matmul: y[m, n] = sum over k of W[n, k] * x[m, k] for many rows m: the prompt's path. W was dequantized just before.
// Layout    weights: [panel of 64 outputs][column][output in panel] f32. x: [row, columns], y: [row, y_stride].
// Grid      one panel a workgroup in x, LANES tiles of TILE rows in y; an invocation holds TILE rows x 4 outputs in registers.
// Numerics  f32, each output summed over k in ascending order by one invocation: tile and batch never change its bits.
struct Shape {
  columns: u32,       // vec4s
  panel_first: u32,   // of the matrix; `weights` begins with it
  outputs: u32,       // of the matrix, vec4s, rounded up
  x_stride: u32,      // vec4s
  y_stride: u32,      // vec4s
  y_offset: u32,      // vec4s
  accumulate: u32,    // 1: y += instead of y =
  unused: u32,
}
@group(0) @binding(0) var<storage, read> weights: array<vec4f>;
@group(0) @binding(1) var<storage, read> x: array<vec4f>;
@group(0) @binding(2) var<storage, read_write> y: array<vec4f>;
@group(0) @binding(3) var<uniform> shape: Shape;

@compute @workgroup_size(16, ${LANES})
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_id) local: vec3u) {
  let row = (group.y * ${LANES}u + local.y) * ${TILE}u;
  var w_at = group.x * shape.columns * 64u + local.x;
  //#repeat m TILE
  var a_${m} = vec4f();
  let x_at_${m} = (row + ${m}u) * shape.x_stride;
  //#end
  for (var k = 0u; k < shape.columns; k++) {
    let w_0 = weights[w_at];
    let w_1 = weights[w_at + 16u];
    let w_2 = weights[w_at + 32u];
    let w_3 = weights[w_at + 48u];
    w_at += 64u;
    //#repeat m TILE
    {
      let v = x[x_at_${m} + k];
      a_${m} += w_0 * v.x + w_1 * v.y + w_2 * v.z + w_3 * v.w;
    }
    //#end
  }
  let n = (shape.panel_first + group.x) * 16u + local.x;
  if (n >= shape.outputs) {
    return;
  }
  //#repeat m TILE
  {
    let y_at = (row + ${m}u) * shape.y_stride + shape.y_offset + n;
    var sum = a_${m};
    if (shape.accumulate != 0u) {
      sum = y[y_at] + sum;
    }
    y[y_at] = sum;
  }
  //#end
}
