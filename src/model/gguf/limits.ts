/** Bounds of a GGUF header, each with its reason. What exceeds one is refused by name. */

/** First read: holds the header of a tiny model, and the counts of any. */
export const WINDOW_BYTES_FIRST = 64 * 1024

/** The largest headers known, vocabularies of 262,144 tokens with 500,000 merges, take about 16 MB. */
export const HEADER_BYTES_MAX = 256 * 1024 * 1024

/** Files in the wild have under 100. */
export const KEYS_MAX = 65_536

/** A dense model has about 9 a layer, experts stored one by one a few thousand. */
export const TENSORS_MAX = 65_536

/** Both of the format: key names 2^16 − 1, tensor names 64 bytes. */
export const KEY_BYTES_MAX = 65_535
export const TENSOR_NAME_BYTES_MAX = 64

/** Chat templates reach 20 KB; a license text 50 KB. */
export const STRING_BYTES_MAX = 16 * 1024 * 1024

/** Elements of one array: merges of the largest vocabularies are about 500,000. */
export const ARRAY_LENGTH_MAX = 16 * 1024 * 1024

/** Strings, booleans and inner arrays of all arrays together: each becomes an object of many times its bytes in the file. */
export const ARRAY_OBJECTS_MAX = 8 * 1024 * 1024

/** Arrays in arrays exist in the format; no known file nests deeper than two. */
export const ARRAY_DEPTH_MAX = 4

export const DIMENSIONS_MAX = 4

/** Converters write 32; pages of 64 KB are the most that any reader could want. */
export const ALIGNMENT_MAX = 65_536

/** Of one tensor: 2^47 elements of 8 bytes still fit into a double exactly. */
export const ELEMENTS_MAX = 2 ** 47
