// matmul_tile: y[m, n] = sum over k of W[n, k] * x[m, k] for many rows m, on adapters with fast workgroup memory.
// Layout    weights: see block.wgsl; bound twice, as words and as quads. x: [row, columns], y: [row, y_stride], whole tiles of rows.
// Grid      one panel of 64 outputs in x, LANES x 8 rows in y. An invocation holds 8 rows, LANES apart, x 4 outputs, 16 apart.
// Steps     of 32 columns: the invocations unpack the panel's weights and copy the rows into workgroup memory, then multiply.
// Numerics  f32; each sum takes its columns in ascending order, one fma a column: as matmul_broadcast, whatever the tile or batch.
const STEP_CHUNKS = 8u;
const ROWS = ${ROWS}u;
const INVOCATIONS = ${16 * LANES}u;
//#include matmul_inputs
@group(0) @binding(3) var<storage, read_write> y: array<f32>;
//#include ${BLOCK}
var<workgroup> w_tile: array<f32, 2048>; // [column][output]
var<workgroup> x_tile: array<vec4f, ${ROWS * 8}>; // [row][chunk], see x_slot

// Neighboring rows begin in different banks.
fn x_slot(row: u32, chunk: u32) -> u32 {
  return row * STEP_CHUNKS + (chunk ^ (row & 7u));
}

// Half a group of one output, which begins at chunk `first` of the step; zeros behind the last column.
fn unpack(output: u32, panel: u32, step: u32, first: u32) {
  let chunk = step * STEP_CHUNKS + first;
  let block = chunk / ${GROUPS * CHUNKS}u;
  var to = first * 256u + output;
  if (block >= shape.blocks) {
    for (var i = 0u; i < ${HALF_CHUNKS * 4}u; i++) {
      w_tile[to + i * PANEL] = 0.0;
    }
    return;
  }
  let place = place_of(panel, output, shape.blocks);
  let head = load_head(place, block);
  let g = chunk / ${CHUNKS}u % ${GROUPS}u;
  //#repeat r 1
  let group_${r} = load_group(place, head, block, g);
  //#if SCALED
  let scales_${r} = group_scales(head, g);
  //#end
  //#repeat h HALVES
  if (chunk / ${HALF_CHUNKS}u % ${HALVES}u == ${h}u) {
    var rest_${r} = group_${r};
    for (var i = 0u; i < ${HALF_CHUNKS}u; i++) {
      //#include chunk_values
      //#if LOOPED
      rest_${r} = next_chunk(rest_${r});
      //#end
      //#repeat c 4
      w_tile[to + ${c}u * PANEL] = w_${r}[${c}];
      //#end
      to += 4u * PANEL;
    }
  }
  //#end
  //#end
}

@compute @workgroup_size(16, ${LANES})
fn main(
  @builtin(workgroup_id) group_id: vec3u,
  @builtin(local_invocation_id) local: vec3u,
  @builtin(local_invocation_index) invocation: u32,
) {
  let panel = group_id.x;
  let row = group_id.y * ROWS;
  //#repeat m 8
  var a_${m} = vec4f();
  //#end
  let chunks = shape.blocks * ${GROUPS * CHUNKS}u;
  let steps = (chunks + STEP_CHUNKS - 1u) / STEP_CHUNKS;
  for (var step = 0u; step < steps; step++) {
    for (var item = invocation; item < ${64 * 8 / HALF_CHUNKS}u; item += INVOCATIONS) {
      unpack(item % PANEL, panel, step, item / PANEL * ${HALF_CHUNKS}u);
    }
    for (var item = invocation; item < ROWS * STEP_CHUNKS; item += INVOCATIONS) {
      let tile_row = item / STEP_CHUNKS;
      let chunk = item % STEP_CHUNKS;
      let column = step * STEP_CHUNKS + chunk;
      var columns = vec4f();
      if (column < chunks) {
        columns = x[(row + tile_row) * shape.x_stride + column];
      }
      x_tile[x_slot(tile_row, chunk)] = columns;
    }
    workgroupBarrier();
    for (var chunk = 0u; chunk < STEP_CHUNKS; chunk++) {
      //#repeat m 8
      let x_${m} = x_tile[x_slot(${m * LANES}u + local.y, chunk)];
      //#end
      //#repeat c 4
      {
        let at = chunk * 256u + ${c * 64}u + local.x;
        let w = vec4f(w_tile[at], w_tile[at + 16u], w_tile[at + 32u], w_tile[at + 48u]);
        //#repeat m 8
        a_${m} = fma(w, vec4f(x_${m}[${c}]), a_${m});
        //#end
      }
      //#end
    }
    workgroupBarrier();
  }
  //#repeat m 8
  {
    let y_row = (row + ${m * LANES}u + local.y) * shape.y_stride + shape.y_offset;
    //#repeat r 4
    {
      let n = panel * PANEL + local.x + ${r * 16}u;
      if (n < shape.outputs) {
        y[y_row + n] = select(a_${m}[${r}], y[y_row + n] + a_${m}[${r}], shape.accumulate != 0u);
      }
    }
    //#end
  }
  //#end
}
