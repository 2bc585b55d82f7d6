// embedding: x[row] = factor * the table's row of token `rows[row].token`, dequantized. The table lies in matvec's layout (a tied head
// shares it) and may be one of several parts; ids of other parts are left alone.
// Grid      one row a workgroup in y, 64 blocks in x.
struct Shape {
  blocks: u32,
  id_first: u32,
  id_count: u32,
  x_stride: u32,      // vec4s
  factor: f32,
  unused_0: u32,
  unused_1: u32,
  unused_2: u32,
}
@group(0) @binding(0) var<storage, read> weights: array<u32>;
@group(0) @binding(1) var<storage, read_write> x: array<vec4f>;
@group(0) @binding(2) var<uniform> shape: Shape;
//#include work
//#include ${BLOCK}

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) global: vec3u) {
  let row = work.row_first + global.y;
  let block = global.x;
  let id = rows[work.row_base + row].token - shape.id_first; // wraps to a large number below the part
  if (block >= shape.blocks || id >= shape.id_count) {
    return;
  }
  let place = place_of(id / PANEL, id % PANEL, shape.blocks);
  let head = load_head(place, block);
  var to = row * shape.x_stride + block * ${GROUPS * CHUNKS}u;
  // The bound is no constant: Mesa would unroll the loop, and compile for a minute.
  for (var g = 0u; g < min(${GROUPS}u, shape.blocks * ${GROUPS}u); g++) {
    let group = load_group(place, head, block, g);
    //#if SCALED
    let scales = group_scales(head, g);
    //#end
    //#repeat h HALVES
    //#repeat i HALF_CHUNKS
    {
      //#if SCALED
      let raw = chunk_${h * HALF_CHUNKS + i}(group) * UNIT_${h * HALF_CHUNKS + i};
      //#if MINIMUM
      x[to] = shape.factor * (raw * scales[${h * 2 * (SPLITS - 1)}] + scales[${h * 2 * (SPLITS - 1) + 1}]);
      //#else
      x[to] = shape.factor * (raw * scales[${h * 2 * (SPLITS - 1)}]);
      //#end
      //#else
      x[to] = shape.factor * chunk_${h * HALF_CHUNKS + i}(group);
      //#end
      to++;
    }
    //#end
    //#end
  }
}
