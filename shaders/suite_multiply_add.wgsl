// suite_multiply_add: `steps` times CHAINS multiply-adds of vec4f in registers; what a compute-bound kernel can reach at best.
// Numerics  The factor is below 1 and depends on the invocation, so that no compiler can fold the loop and no value overflows.
struct Shape {
  steps: u32,
  unused_0: u32,
  unused_1: u32,
  unused_2: u32,
}
@group(0) @binding(0) var<storage, read_write> sums: array<vec4f>;
@group(0) @binding(1) var<uniform> shape: Shape;

@compute @workgroup_size(${WORKGROUP})
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32) {
  let index = (group.y * groups.x + group.x) * ${WORKGROUP}u + lane;
  let factor = vec4f(0.5 + 1.0 / f32(4u + index));
  //#repeat i CHAINS
  var chain_${i} = vec4f(${i}.0, 1.0, 2.0, 3.0);
  //#end
  for (var step = 0u; step < shape.steps; step++) {
    //#repeat i CHAINS
    chain_${i} = fma(chain_${i}, factor, factor);
    //#end
  }
  var sum = vec4f(0.0);
  //#repeat i CHAINS
  sum += chain_${i};
  //#end
  sums[index] = sum;
}
