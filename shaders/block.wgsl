// block: where a block of quantized weights lies. Every block_*.wgsl includes it; the shader that includes those binds
// `weights: array<u32>` and, with QUADS_BOUND, the same buffer as `quads: array<vec4u>`.
// Layout    panel = [block][quad][output in panel] of four words, then for each tail [block][output in panel] of 1, 2 or 4 bytes, packed
//           in words along the blocks (weightLayout.ts).
// A block is GROUPS groups of CHUNKS chunks of four columns. A block_*.wgsl declares
//   Head, load_head(place, block)               what the groups of a block share, mostly scales
//   Group, load_group(place, head, block, g)    one group's bits
//   chunk_0(group) … chunk_7(group)             columns 4k … 4k+3 as whole numbers, each a power of two too large: times UNIT_k
//   group_scales(head, g)                       (scale, minimum), with SPLIT one pair for each half of the group
// and a value is scale * (chunk * UNIT) + minimum. Types without scales (F32, F16, BF16) have values in their chunks.
const PANEL = 64u;
const UNIT = vec4f(1.0, 0x1p-8, 0x1p-16, 0x1p-24);

// Where one output's blocks begin: its first quad, and the first word of each tail.
struct Place {
  quad: u32,
  tail_0: u32,
  tail_1: u32,
}

fn place_of(panel: u32, output: u32, blocks: u32) -> Place {
  let quad_words = blocks * ${QUADS * 4}u * PANEL;
  let tail_0_words = (blocks * ${TAIL_0}u + 3u) / 4u * PANEL;
  let tail_1_words = (blocks * ${TAIL_1}u + 3u) / 4u * PANEL;
  let begin = panel * (quad_words + tail_0_words + tail_1_words);
  return Place(begin / 4u + output, begin + quad_words + output, begin + quad_words + tail_0_words + output);
}

fn load_quad(place: Place, block: u32, index: u32) -> vec4u {
  let at = place.quad + (block * ${QUADS}u + index) * PANEL;
  //#if QUADS_BOUND
  return quads[at];
  //#else
  return vec4u(weights[4u * at], weights[4u * at + 1u], weights[4u * at + 2u], weights[4u * at + 3u]);
  //#end
}

//#repeat t 2
fn load_tail_word_${t}(place: Place, block: u32) -> u32 {
  return weights[place.tail_${t} + block * PANEL];
}
fn load_tail_half_${t}(place: Place, block: u32) -> u32 {
  return (weights[place.tail_${t} + (block >> 1u) * PANEL] >> (16u * (block & 1u))) & 0xffffu;
}
fn load_tail_byte_${t}(place: Place, block: u32) -> u32 {
  return (weights[place.tail_${t} + (block >> 2u) * PANEL] >> (8u * (block & 3u))) & 0xffu;
}
//#end

// Four bytes, each below 128 in the highest, as numbers that UNIT brings to size: a mask and a conversion each. Conversions of signed
// numbers: unsigned ones take software adapters five instructions.
fn spread(bytes: u32) -> vec4f {
  return vec4f(vec4i(vec4u(bytes) & vec4u(0xffu, 0xff00u, 0xff0000u, 0x7f000000u)));
}
