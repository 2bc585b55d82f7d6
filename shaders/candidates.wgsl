// candidates: of one row of logits the work.top_k best (any order; the CPU sorts them) and the logsumexp over the vocabulary.
// Output    at work.io_word: logsumexp, then top_k ids, then top_k logits, then the logits of the work's named tokens. Anything that is not finite raises flags[0].
// Grid      one workgroup of 64 lanes a row; the row is work.row_first.
// Method    radix select: four passes over the bits of an order-keeping key find the k-th best key; then every lane, owner of
//           a contiguous range of ids, writes its own winners in order, so that of equal logits the lowest ids win.
// Numerics  sum of exp(logit - max): 64 partial sums, added in order.
const LANES = 64u;
struct Shape {
  vocabulary: u32,
  stride: u32,        // elements of a row of logits
  unused_0: u32,
  unused_1: u32,
}
@group(0) @binding(0) var<storage, read> logits: array<u32>;
@group(0) @binding(1) var<storage, read_write> packed: array<u32>;
@group(0) @binding(2) var<storage, read_write> flags: array<atomic<u32>>;
@group(0) @binding(3) var<uniform> shape: Shape;
//#include work
var<workgroup> partial: array<f32, 64>;
var<workgroup> histogram: array<atomic<u32>, 256>;
var<workgroup> prefix: u32;
var<workgroup> wanted: u32;
var<workgroup> winners: array<u32, 64>;
var<workgroup> equals: array<u32, 64>;

// Larger logits have larger keys; both zeros have the same.
fn order_key(bits: u32) -> u32 {
  let one_zero = select(bits, 0u, bits == 0x80000000u);
  return one_zero ^ select(0x80000000u, 0xffffffffu, (one_zero >> 31u) == 1u);
}

@compute @workgroup_size(64)
fn main(@builtin(local_invocation_index) lane: u32) {
  let begin = work.row_first * shape.stride;
  var best = -3.4e38;
  var finite = true;
  for (var id = lane; id < shape.vocabulary; id += LANES) {
    let bits = logits[begin + id];
    finite = finite && (bits & 0x7f800000u) != 0x7f800000u;
    best = max(best, bitcast<f32>(bits));
  }
  if (!finite) {
    atomicOr(&flags[0], 1u);
  }
  partial[lane] = best;
  workgroupBarrier();
  for (var i = 0u; i < LANES; i++) {
    best = max(best, partial[i]);
  }
  workgroupBarrier();
  var sum = 0.0;
  for (var id = lane; id < shape.vocabulary; id += LANES) {
    sum += exp(bitcast<f32>(logits[begin + id]) - best);
  }
  partial[lane] = sum;
  if (lane == 0u) {
    prefix = 0u;
    wanted = work.top_k;
  }
  workgroupBarrier();
  if (lane == 0u) {
    var total = 0.0;
    for (var i = 0u; i < LANES; i++) {
      total += partial[i];
    }
    packed[work.io_word] = bitcast<u32>(best + log(total));
  }
  for (var digit = 0u; digit < 4u; digit++) {
    for (var bin = lane; bin < 256u; bin += LANES) {
      atomicStore(&histogram[bin], 0u);
    }
    workgroupBarrier();
    let shift = 24u - 8u * digit;
    let known = prefix;
    for (var id = lane; id < shape.vocabulary; id += LANES) {
      let key = order_key(logits[begin + id]);
      // Of the first pass nothing is known yet; a shift by 32 is undefined.
      if (digit == 0u || (key >> (shift + 8u)) == known) {
        atomicAdd(&histogram[(key >> shift) & 255u], 1u);
      }
    }
    workgroupBarrier();
    if (lane == 0u) {
      var left = wanted;
      var bin = 255u;
      for (; bin > 0u; bin--) {
        let count = atomicLoad(&histogram[bin]);
        if (count >= left) {
          break;
        }
        left -= count;
      }
      wanted = left;
      prefix = (known << 8u) | bin;
    }
    workgroupBarrier();
  }
  let threshold = prefix;
  let ties = wanted;
  let share = (shape.vocabulary + LANES - 1u) / LANES;
  let id_first = lane * share;
  let id_end = min(id_first + share, shape.vocabulary);
  var above = 0u;
  var equal = 0u;
  for (var id = id_first; id < id_end; id++) {
    let key = order_key(logits[begin + id]);
    above += select(0u, 1u, key > threshold);
    equal += select(0u, 1u, key == threshold);
  }
  winners[lane] = above;
  equals[lane] = equal;
  workgroupBarrier();
  var to = 0u;
  var tie = 0u;
  for (var i = 0u; i < lane; i++) {
    to += winners[i];
    tie += equals[i];
  }
  let ids_at = work.io_word + 1u;
  let ties_at = work.top_k - ties;
  for (var id = id_first; id < id_end; id++) {
    let bits = logits[begin + id];
    let key = order_key(bits);
    var place = work.top_k;
    if (key > threshold) {
      place = to;
      to++;
    } else if (key == threshold) {
      if (tie < ties) {
        place = ties_at + tie;
      }
      tie++;
    }
    if (place < work.top_k) {
      packed[ids_at + place] = id;
      packed[ids_at + work.top_k + place] = bits;
    }
  }
  if (lane < work.named) {
    packed[ids_at + 2u * work.top_k + lane] = logits[begin + work.selected[lane / 4u][lane % 4u]];
  }
}
