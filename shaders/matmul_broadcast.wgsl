// matmul_broadcast: y[m, n] = sum over k of W[n, k] * x[m, k] for many rows m, on adapters whose loads cost more than arithmetic.
// Layout    weights: see block.wgsl; bound twice, as words and as quads. x: [row, columns], y: [row, y_stride], whole tiles of rows.
// Grid      SUBGROUP invocations of 4 outputs in x, ROWS rows in y; an invocation holds ROWS x 4 sums in registers.
// Loads     invocation i of the subgroup reads row i once, and all get its columns by broadcast; each unpacks the weights of its own
//           outputs for all rows. Software adapters load lane by lane with a check each: here nothing is loaded twice.
// Numerics  f32; each sum takes its columns in ascending order, one fma a column: as matmul_tile, whatever the tile or batch.
enable subgroups;
// The loops' bounds come from a uniform: all invocations run them alike, which the compiler cannot see.
diagnostic(off, subgroup_uniformity);
//#include matmul_inputs
@group(0) @binding(3) var<storage, read_write> y: array<vec4f>;
//#include ${BLOCK}

@compute @workgroup_size(${SUBGROUP})
fn main(
  @builtin(workgroup_id) group_id: vec3u,
  @builtin(local_invocation_index) lane: u32,
  @builtin(subgroup_invocation_id) subgroup_lane: u32,
) {
  let n = group_id.x * ${SUBGROUP}u + lane; // in vec4s
  let row = group_id.y * ${ROWS}u;
  //#repeat r 4
  let place_${r} = place_of(n / 16u, n % 16u * 4u + ${r}u, shape.blocks);
  //#end
  //#repeat t LANE_ROWS
  var x_at_${t} = (row + ${t * SUBGROUP}u + subgroup_lane) * shape.x_stride;
  //#end
  //#repeat m ROWS
  var a_${m} = vec4f();
  //#end
  for (var block = 0u; block < shape.blocks; block++) {
    //#repeat r 4
    let head_${r} = load_head(place_${r}, block);
    //#end
    // The bound is no constant: Mesa would unroll the loop, and compile for a minute.
    for (var g = 0u; g < min(${GROUPS}u, shape.blocks * ${GROUPS}u); g++) {
      //#repeat r 4
      let group_${r} = load_group(place_${r}, head_${r}, block, g);
      //#if SCALED
      let scales_${r} = group_scales(head_${r}, g);
      //#end
      //#end
      //#repeat h HALVES
      {
        //#repeat r 4
        var rest_${r} = group_${r};
        //#end
        for (var i = 0u; i < ${HALF_CHUNKS}u; i++) {
          //#repeat r 4
          //#include chunk_values
          //#if LOOPED
          rest_${r} = next_chunk(rest_${r});
          //#end
          //#end
          //#repeat t LANE_ROWS
          let x_${t} = x[x_at_${t} + i];
          //#end
          //#repeat c 4
          {
            let w = vec4f(w_0[${c}], w_1[${c}], w_2[${c}], w_3[${c}]);
            //#repeat t LANE_ROWS
            //#repeat s SUBGROUP
            a_${t * SUBGROUP + s} = fma(w, vec4f(subgroupBroadcast(x_${t}[${c}], ${s}u)), a_${t * SUBGROUP + s});
            //#end
            //#end
          }
          //#end
        }
        //#repeat t LANE_ROWS
        x_at_${t} += ${HALF_CHUNKS}u;
        //#end
      }
      //#end
    }
  }
  if (4u * n >= shape.outputs) {
    return;
  }
  //#repeat m ROWS
  {
    let y_at = ((row + ${m}u) * shape.y_stride + shape.y_offset) / 4u + n;
    y[y_at] = select(a_${m}, y[y_at] + a_${m}, shape.accumulate != 0u);
  }
  //#end
}
