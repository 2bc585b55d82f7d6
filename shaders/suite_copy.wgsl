// suite_copy: to[i] = from[i], a vec4 an invocation; what a memory-bound kernel can reach at best.
// Grid      ${WORKGROUP} invocations a workgroup over (x, y); the surplus leaves.
struct Shape {
  count: u32, // vec4s
  unused_0: u32,
  unused_1: u32,
  unused_2: u32,
}
@group(0) @binding(0) var<storage, read> source: array<vec4f>;
@group(0) @binding(1) var<storage, read_write> copy: array<vec4f>;
@group(0) @binding(2) var<uniform> shape: Shape;

@compute @workgroup_size(${WORKGROUP})
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32) {
  let index = (group.y * groups.x + group.x) * ${WORKGROUP}u + lane;
  if (index < shape.count) {
    copy[index] = source[index];
  }
}
