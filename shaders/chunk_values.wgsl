// chunk_values: the first chunk of half h of `rest_${r}` as w_${r}: four columns of one output.
//#if SCALED
//#if MINIMUM
let w_${r} = fma(chunk_${h * HALF_CHUNKS}(rest_${r}), UNIT_${h * HALF_CHUNKS} * scales_${r}[${h * 2 * (SPLITS - 1)}], vec4f(scales_${r}[${h * 2 * (SPLITS - 1) + 1}]));
//#else
let w_${r} = chunk_${h * HALF_CHUNKS}(rest_${r}) * (UNIT_${h * HALF_CHUNKS} * scales_${r}[${h * 2 * (SPLITS - 1)}]);
//#end
//#else
let w_${r} = chunk_${h}(rest_${r});
//#end
