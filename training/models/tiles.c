/* The Transformer's training step on CPUs with AMX: products of bfloat16 tiles, f32 sums.
 *
 * Rows are the real tokens of all sentences, one after the other: no padding but the last rows of
 * the last block. Everything is done in blocks of 32 by 32. A matrix is either plain rows, or
 * "blocked": each block's 2 KiB lie together, which is what the caches like best.
 *
 * AMX multiplies a left tile [16 rows, 32 depth] with a right tile [16 pairs of depth, 16 columns],
 * in which two values that follow each other in depth share 32 bits. A "packed" right factor
 * [depth, columns] is made of blocks of two such tiles; the blocks of 32 columns lie together.
 *
 * What is written past the last real row is zero or finite, so that it can be multiplied by zero.
 */
#include <math.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "vectors.h"

#define SIDE 32               /* of a block */
#define BLOCK (SIDE * SIDE)   /* values in a block */
#define TILE (BLOCK / 2)      /* values in a tile */
#define STRIP 8               /* blocks of depth that are added up at a time: L1 cache */
#define PART 1024             /* of a feed-forward layer's width that is done at a time: L2 cache */
#define LONGEST 512           /* pieces in a sentence */
#define WIDEST 1024           /* d_model */

static long blocks(long count) { return (count + SIDE - 1) / SIDE; }

static long at_most(long value, long limit) { return value < limit ? value : limit; }

/* ---- The machine ---- */

/* Asks Linux for the permission to use tiles; 0 when it is given. */
int tiles_begin(void) { return (int)syscall(SYS_arch_prctl, 0x1023, 18); }

/* Zeroed memory in huge pages: far fewer misses when tiles are gathered from all over a matrix. */
void *tiles_allocate(long bytes) {
  void *memory =
      mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) return NULL;
  madvise(memory, bytes, MADV_HUGEPAGE);
  return memory;
}

void tiles_free(void *memory, long bytes) { munmap(memory, bytes); }

/* Compilers do not know that loading tiles reads memory: before it, all must have been written. */
static inline void written(void) { __asm__ volatile("" ::: "memory"); }

/* All eight tiles are 16 rows of 64 bytes. Other libraries have settings of their own, so this
 * comes first in every function that is called from outside. */
static void use_tiles(void) {
  static struct {
    uint8_t palette, start, zero[14];
    uint16_t bytes[16];
    uint8_t rows[16];
  } __attribute__((aligned(64))) settings = {.palette = 1};
  for (int i = 0; i < 8; i++) settings.bytes[i] = 64, settings.rows[i] = 16;
  written();
  _tile_loadconfig(&settings);
}

/* ---- Packing ---- */

/* Sixteen rows of sixteen 32-bit values, transposed. */
static inline void transpose(__m512i *r) {
  __m512i t[16];
  for (int i = 0; i < 16; i += 2) {
    t[i] = _mm512_unpacklo_epi32(r[i], r[i + 1]);
    t[i + 1] = _mm512_unpackhi_epi32(r[i], r[i + 1]);
  }
  for (int i = 0; i < 16; i += 4) {
    r[i] = _mm512_unpacklo_epi64(t[i], t[i + 2]);
    r[i + 1] = _mm512_unpackhi_epi64(t[i], t[i + 2]);
    r[i + 2] = _mm512_unpacklo_epi64(t[i + 1], t[i + 3]);
    r[i + 3] = _mm512_unpackhi_epi64(t[i + 1], t[i + 3]);
  }
  for (int i = 0; i < 4; i++) {
    t[i] = _mm512_shuffle_i32x4(r[i], r[i + 4], 0x88);
    t[i + 4] = _mm512_shuffle_i32x4(r[i], r[i + 4], 0xdd);
    t[i + 8] = _mm512_shuffle_i32x4(r[i + 8], r[i + 12], 0x88);
    t[i + 12] = _mm512_shuffle_i32x4(r[i + 8], r[i + 12], 0xdd);
  }
  for (int i = 0; i < 4; i++) {
    r[i] = _mm512_shuffle_i32x4(t[i], t[i + 8], 0x88);
    r[i + 8] = _mm512_shuffle_i32x4(t[i], t[i + 8], 0xdd);
    r[i + 4] = _mm512_shuffle_i32x4(t[i + 4], t[i + 12], 0x88);
    r[i + 12] = _mm512_shuffle_i32x4(t[i + 4], t[i + 12], 0xdd);
  }
}

/* A block [columns, depth] becomes a packed block [depth, columns]: rows of weights or keys. */
static inline void pack_transposed(const bf16 *from, long stride, bf16 *to) {
  for (int half = 0; half < 2; half++) {
    __m512i r[16];
    for (int i = 0; i < 16; i++)
      r[i] = _mm512_loadu_si512(from + (16 * half + i) * stride);
    transpose(r);
    for (int i = 0; i < 16; i++) _mm512_storeu_si512(to + half * TILE + i * SIDE, r[i]);
  }
}

/* Each value of two rows beside the other's: first or last sixteen columns. */
static inline __m512i paired(__m512i even, __m512i odd, int last) {
  __m512i places = _mm512_set_epi32(
      0x2f000f, 0x2e000e, 0x2d000d, 0x2c000c, 0x2b000b, 0x2a000a, 0x290009, 0x280008, 0x270007,
      0x260006, 0x250005, 0x240004, 0x230003, 0x220002, 0x210001, 0x200000);
  if (last) places = _mm512_add_epi16(places, _mm512_set1_epi16(16));
  return _mm512_permutex2var_epi16(even, places, odd);
}

/* Past the caches, which have other uses for their room, when it will be read much later only. */
static inline void put(bf16 *to, __m512i value, int later) {
  if (later)
    _mm512_stream_si512((void *)to, value);
  else
    _mm512_storeu_si512(to, value);
}

/* A block [depth, columns] becomes a packed one. */
static inline void pack(const bf16 *from, long stride, bf16 *to, int later) {
  for (int i = 0; i < 16; i++) {
    __m512i even = _mm512_loadu_si512(from + 2 * i * stride);
    __m512i odd = _mm512_loadu_si512(from + (2 * i + 1) * stride);
    put(to + i * SIDE, paired(even, odd, 0), later);
    put(to + TILE + i * SIDE, paired(even, odd, 1), later);
  }
}

/* A block [depth, rows] becomes a block [rows, depth] of a left factor. */
static inline void flip(const bf16 *from, long stride, bf16 *to, int later) {
  for (int half = 0; half < 2; half++) {
    __m512i r[16];
    for (int i = 0; i < 16; i++) {
      __m512i even = _mm512_loadu_si512(from + 2 * i * stride);
      __m512i odd = _mm512_loadu_si512(from + (2 * i + 1) * stride);
      r[i] = half ? paired(even, odd, 1) : paired(even, odd, 0);
    }
    transpose(r);
    for (int i = 0; i < 16; i++) put(to + half * TILE + i * SIDE, r[i], later);
  }
}

/* Weights [outputs, inputs], packed for x Wᵀ and for dy W. */
void tiles_pack_weight(const float *weight, long outputs, long inputs, bf16 *forward,
                       bf16 *backward) {
  bf16 block[BLOCK] __attribute__((aligned(64)));
  for (long i = 0; i < blocks(outputs); i++)
    for (long j = 0; j < blocks(inputs); j++) {
      for (long row = 0; row < SIDE; row++) {
        const float *from = weight + (i * SIDE + row) * inputs + j * SIDE;
        bf16 *to = block + row * SIDE;
        if (i * SIDE + row < outputs) {
          store_bf16(to, _mm512_loadu_ps(from));
          store_bf16(to + 16, _mm512_loadu_ps(from + 16));
        } else {
          memset(to, 0, SIDE * sizeof *to);
        }
      }
      pack_transposed(block, SIDE, forward + (i * blocks(inputs) + j) * BLOCK);
      pack(block, SIDE, backward + (j * blocks(outputs) + i) * BLOCK, 0);
    }
}

/* ---- Products ---- */

/* c [32, 32] = (or +=, with `add`) left blocks times packed blocks, over `depth` blocks. */
static inline __attribute__((always_inline)) void multiply(const bf16 *left, long left_step,
                                                           long left_stride, const bf16 *right,
                                                           long depth, float *c, long c_stride,
                                                           int add) {
  long bytes = left_stride * sizeof(bf16), c_bytes = c_stride * sizeof(float);
  written();
  if (add) {
    _tile_loadd(0, c, c_bytes);
    _tile_loadd(1, c + 16, c_bytes);
    _tile_loadd(2, c + 16 * c_stride, c_bytes);
    _tile_loadd(3, c + 16 * c_stride + 16, c_bytes);
  } else {
    _tile_zero(0);
    _tile_zero(1);
    _tile_zero(2);
    _tile_zero(3);
  }
  for (long k = 0; k < depth; k++) {
    _tile_loadd(4, left, bytes);
    _tile_loadd(6, right, 64);
    _tile_dpbf16ps(0, 4, 6);
    _tile_loadd(7, right + TILE, 64);
    _tile_dpbf16ps(1, 4, 7);
    _tile_loadd(5, left + 16 * left_stride, bytes);
    _tile_dpbf16ps(2, 5, 6);
    _tile_dpbf16ps(3, 5, 7);
    left += left_step;
    right += BLOCK;
  }
  _tile_stored(0, c, c_bytes);
  _tile_stored(1, c + 16, c_bytes);
  _tile_stored(2, c + 16 * c_stride, c_bytes);
  _tile_stored(3, c + 16 * c_stride + 16, c_bytes);
}

/* c [32, columns] = (or +=, with `add`) one row of blocks of a left factor times a packed factor
 * [depth, columns], whose panels are `panel` blocks apart. */
static void row_product(const bf16 *left, long left_step, long left_stride, const bf16 *right,
                        long panel, long columns, long depth, float *c, int add) {
  for (long k = 0; k < depth / SIDE; k += STRIP)
    for (long j = 0; j < columns / SIDE; j++)
      multiply(left + k * left_step, left_step, left_stride, right + (j * panel + k) * BLOCK,
               at_most(depth / SIDE - k, STRIP), c + j * SIDE, columns, add || k);
}

/* out [rows, columns], bf16 = left [rows, depth] times a packed factor, plus bias or NULL. */
static void product(const bf16 *left, const bf16 *right, long rows, long columns, long depth,
                    const float *bias, bf16 *out) {
  float c[2][BLOCK] __attribute__((aligned(64)));
  for (long i = 0; i < blocks(rows); i++)
    for (long j = 0; j < columns / SIDE; j++) {
      float *sums = c[j & 1];
      bf16 *to = out + i * SIDE * columns + j * SIDE;
      multiply(left + i * SIDE * depth, SIDE, depth, right + j * (depth * SIDE), depth / SIDE,
               sums, SIDE, 0);
      vector first = _mm512_setzero_ps(), last = first;
      if (bias) {
        first = _mm512_loadu_ps(bias + j * SIDE);
        last = _mm512_loadu_ps(bias + j * SIDE + 16);
      }
      for (long row = 0; row < SIDE; row++) {
        vector a = _mm512_add_ps(_mm512_load_ps(sums + row * SIDE), first);
        vector b = _mm512_add_ps(_mm512_load_ps(sums + row * SIDE + 16), last);
        _mm512_storeu_si512(to + row * columns, (__m512i)_mm512_cvtne2ps_pbh(b, a));
      }
    }
}

/* out [rows, columns], f32 += left [rows, depth] times a packed factor. */
static void product_added(const bf16 *left, const bf16 *right, long rows, long columns, long depth,
                          float *out) {
  for (long i = 0; i < blocks(rows); i++)
    row_product(left + i * SIDE * depth, SIDE, depth, right, depth / SIDE, columns, depth,
                out + i * SIDE * columns, 1);
}

/* Panels, the blocks of one column together: flipped for a left factor, packed for a right one. */
static void panels(const bf16 *from, long rows, long columns, int flipped, bf16 *to) {
  long depth = blocks(rows);
  for (long k = 0; k < depth; k++)
    for (long j = 0; j < columns / SIDE; j++) {
      const bf16 *block = from + k * SIDE * columns + j * SIDE;
      if (flipped)
        flip(block, columns, to + (j * depth + k) * BLOCK, 0);
      else
        pack(block, columns, to + (j * depth + k) * BLOCK, 0);
    }
}

/* gradient [outputs, inputs] = dyᵀ [outputs, rows] times x [rows, inputs]: flipped panels of dy,
 * packed panels of x. */
static void weight_gradient(const bf16 *dy, const bf16 *x, long rows, long outputs, long inputs,
                            float *gradient) {
  long depth = blocks(rows), out = outputs / SIDE, in = inputs / SIDE;
  int keep_x = in <= out; /* the narrower factor stays in the L2 cache */
  for (long i = 0; i < (keep_x ? out : in); i++)
    for (long k = 0; k < depth; k += STRIP)
      for (long j = 0; j < (keep_x ? in : out); j++) {
        long row = keep_x ? i : j, column = keep_x ? j : i;
        multiply(dy + (row * depth + k) * BLOCK, BLOCK, SIDE, x + (column * depth + k) * BLOCK,
                 at_most(depth - k, STRIP), gradient + row * SIDE * inputs + column * SIDE, inputs,
                 k > 0);
      }
}

/* sums [columns] of plain rows of bf16. */
static void column_sums(const bf16 *from, long rows, long columns, float *sums) {
  memset(sums, 0, columns * sizeof *sums);
  for (long i = 0; i < rows; i++, from += columns)
    for (long j = 0; j < columns; j += 16)
      _mm512_storeu_ps(sums + j, _mm512_add_ps(_mm512_loadu_ps(sums + j), load_bf16(from + j)));
}

/* ---- Dropout ---- */

static inline __m512i next_random(__m512i *a, __m512i *b) {
  /* xorshift128+, eight generators side by side. */
  __m512i x = *a, y = *b, sum = _mm512_add_epi64(x, y);
  x = _mm512_xor_si512(x, _mm512_slli_epi64(x, 23));
  *a = y;
  *b = _mm512_xor_si512(_mm512_xor_si512(x, y),
                        _mm512_xor_si512(_mm512_srli_epi64(x, 18), _mm512_srli_epi64(y, 5)));
  return sum;
}

/* Which of `count` values, a multiple of 32, are kept: one bit each. */
void tiles_dropout(uint64_t seed, double probability, long count, uint32_t *kept) {
  uint64_t start[16];
  for (int i = 0; i < 16; i++) { /* splitmix64 */
    uint64_t z = seed += 0x9e3779b97f4a7c15;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
    z = (z ^ z >> 27) * 0x94d049bb133111eb;
    start[i] = z ^ z >> 31;
  }
  __m512i a = _mm512_loadu_si512(start), b = _mm512_loadu_si512(start + 8);
  __m512i limit = _mm512_set1_epi16((short)lround(probability * 65536));
  for (long i = 0; i < count / 32; i++)
    kept[i] = _mm512_cmpge_epu16_mask(next_random(&a, &b), limit);
}

static inline vector drop(vector value, const uint32_t *kept, long place, vector scale) {
  __mmask16 mask = kept ? (__mmask16)(kept[place / 32] >> place % 32) : 0xffff;
  return _mm512_maskz_mul_ps(mask, value, scale);
}

/* ---- Embeddings ---- */

/* x [rows, size] = dropout(table[token] * scale + position); also as bf16. */
void tiles_embed(const float *table, const int32_t *tokens, const float *positions,
                 const int32_t *places, long rows, long size, float scale, const uint32_t *kept,
                 float keep_scale, float *x, bf16 *x16) {
  vector up = _mm512_set1_ps(scale), rescale = _mm512_set1_ps(keep_scale);
  for (long i = 0; i < rows; i++) {
    const float *from = table + tokens[i] * size, *position = positions + places[i] * size;
    for (long j = 0; j < size; j += 16) {
      vector value = _mm512_fmadd_ps(_mm512_loadu_ps(from + j), up, _mm512_loadu_ps(position + j));
      value = drop(value, kept, i * size + j, rescale);
      _mm512_storeu_ps(x + i * size + j, value);
      store_bf16(x16 + i * size + j, value);
    }
  }
  long padding = blocks(rows) * SIDE - rows;
  memset(x + rows * size, 0, padding * size * sizeof *x);
  memset(x16 + rows * size, 0, padding * size * sizeof *x16);
}

/* table gradient[token] += dropout(dx) * scale, but never for the token `skipped`. */
void tiles_embed_gradient(const float *dx, const int32_t *tokens, long rows, long size,
                          float scale, const uint32_t *kept, float keep_scale, int32_t skipped,
                          float *gradient) {
  vector rescale = _mm512_set1_ps(scale * keep_scale);
  for (long i = 0; i < rows; i++) {
    if (tokens[i] == skipped) continue;
    float *to = gradient + tokens[i] * size;
    for (long j = 0; j < size; j += 16) {
      vector value = drop(_mm512_loadu_ps(dx + i * size + j), kept, i * size + j, rescale);
      _mm512_storeu_ps(to + j, _mm512_add_ps(_mm512_loadu_ps(to + j), value));
    }
  }
}

/* ---- The end of every sublayer: layer norm of residual plus dropped-out output ---- */

typedef struct {
  long rows, size;
  const float *bias;      /* of the sublayer's last product */
  const float *gain, *shift;
  const uint32_t *kept;   /* [rows, size] bits, or NULL */
  float keep_scale;
  const float *residual;  /* [rows, size] */
  float *x;               /* out: [rows, size], and as bf16 */
  bf16 *x16;
  bf16 *normal;           /* out, for the gradient: before gain and shift */
  float *deviation;       /* out, for the gradient: 1 / standard deviation of each row */
} Ending;

/* Rows of block i, whose last product is in c [32, size]. */
static void end_rows(const Ending *e, long i, float *c) {
  long size = e->size;
  vector scale = _mm512_set1_ps(e->keep_scale);
  for (long row = 0; row < SIDE; row++) {
    long at = i * SIDE + row, start = at * size;
    float *from = c + row * size;
    if (at >= e->rows) {
      memset(e->x + start, 0, size * sizeof *e->x);
      memset(e->x16 + start, 0, size * sizeof *e->x16);
      memset(e->normal + start, 0, size * sizeof *e->normal);
      e->deviation[at] = 0;
      continue;
    }
    vector sum = _mm512_setzero_ps(), squares = _mm512_setzero_ps();
    for (long j = 0; j < size; j += 16) {
      vector value = _mm512_add_ps(_mm512_loadu_ps(from + j), _mm512_loadu_ps(e->bias + j));
      value = drop(value, e->kept, start + j, scale);
      value = _mm512_add_ps(value, _mm512_loadu_ps(e->residual + start + j));
      _mm512_storeu_ps(from + j, value);
      sum = _mm512_add_ps(sum, value);
    }
    vector mean = _mm512_set1_ps(_mm512_reduce_add_ps(sum) / size);
    for (long j = 0; j < size; j += 16) {
      vector away = _mm512_sub_ps(_mm512_loadu_ps(from + j), mean);
      squares = _mm512_fmadd_ps(away, away, squares);
    }
    float deviation = 1 / sqrtf(_mm512_reduce_add_ps(squares) / size + 1e-5f);
    e->deviation[at] = deviation;
    vector inverse = _mm512_set1_ps(deviation);
    for (long j = 0; j < size; j += 16) {
      vector normal =
          _mm512_mul_ps(_mm512_sub_ps(_mm512_loadu_ps(from + j), mean), inverse);
      vector value = _mm512_fmadd_ps(normal, _mm512_loadu_ps(e->gain + j),
                                     _mm512_loadu_ps(e->shift + j));
      store_bf16(e->normal + start + j, normal);
      _mm512_storeu_ps(e->x + start + j, value);
      store_bf16(e->x16 + start + j, value);
    }
  }
}

typedef struct {
  float *bias, *gain, *shift; /* gradients, written */
  float *residual;            /* [rows, size]: in dx of the layer norm's output, out of its input */
  bf16 *output;               /* out: gradient of the sublayer's last product */
} EndingGradient;

static void end_gradient(const Ending *e, const EndingGradient *g) {
  long size = e->size;
  float sums[3][WIDEST] __attribute__((aligned(64)));
  memset(sums, 0, sizeof sums);
  vector scale = _mm512_set1_ps(e->keep_scale);
  for (long at = 0; at < e->rows; at++) {
    float *d = g->residual + at * size;
    const bf16 *normal = e->normal + at * size;
    vector sum = _mm512_setzero_ps(), along = _mm512_setzero_ps();
    for (long j = 0; j < size; j += 16) {
      vector dy = _mm512_loadu_ps(d + j), n = load_bf16(normal + j);
      _mm512_store_ps(sums[1] + j, _mm512_fmadd_ps(dy, n, _mm512_load_ps(sums[1] + j)));
      _mm512_store_ps(sums[2] + j, _mm512_add_ps(dy, _mm512_load_ps(sums[2] + j)));
      dy = _mm512_mul_ps(dy, _mm512_loadu_ps(e->gain + j));
      sum = _mm512_add_ps(sum, dy);
      along = _mm512_fmadd_ps(dy, n, along);
    }
    vector mean = _mm512_set1_ps(_mm512_reduce_add_ps(sum) / size);
    along = _mm512_set1_ps(_mm512_reduce_add_ps(along) / size);
    vector inverse = _mm512_set1_ps(e->deviation[at]);
    for (long j = 0; j < size; j += 16) {
      vector value = _mm512_mul_ps(_mm512_loadu_ps(d + j), _mm512_loadu_ps(e->gain + j));
      value = _mm512_sub_ps(value, mean);
      value = _mm512_fnmadd_ps(load_bf16(normal + j), along, value);
      value = _mm512_mul_ps(value, inverse);
      _mm512_storeu_ps(d + j, value);
      value = drop(value, e->kept, at * size + j, scale);
      _mm512_store_ps(sums[0] + j, _mm512_add_ps(value, _mm512_load_ps(sums[0] + j)));
      store_bf16(g->output + at * size + j, value);
    }
  }
  long padding = blocks(e->rows) * SIDE - e->rows;
  memset(g->residual + e->rows * size, 0, padding * size * sizeof(float));
  memset(g->output + e->rows * size, 0, padding * size * sizeof(bf16));
  memcpy(g->bias, sums[0], size * sizeof(float));
  memcpy(g->gain, sums[1], size * sizeof(float));
  memcpy(g->shift, sums[2], size * sizeof(float));
}

/* ---- Feed-forward ---- */

/* hidden = relu(x W₁ᵀ + b₁); then W₂ and the sublayer's end. For the gradient: `hidden` as panels,
 * packed, and in `open` a bit for each of its numbers that is not zero. `sums` is room for
 * [rows, size]. */
void tiles_feed_forward(const bf16 *x, const bf16 *first, const float *first_bias, long width,
                        const bf16 *second, bf16 *hidden, uint32_t *open, float *sums,
                        const Ending *end) {
  use_tiles();
  long size = end->size, depth = blocks(end->rows);
  static bf16 row_blocks[SIDE * PART] __attribute__((aligned(64)));
  float c[2][BLOCK] __attribute__((aligned(64)));
  for (long start = 0; start < width; start += PART)
    for (long i = 0; i < depth; i++) {
      long count = at_most(width - start, PART) / SIDE;
      for (long j = 0; j < count; j++) {
        long column = start / SIDE + j;
        bf16 *to = row_blocks + j * BLOCK, *panel = hidden + (column * depth + i) * BLOCK;
        uint32_t *bits = open + (i * (width / SIDE) + column) * SIDE;
        multiply(x + i * SIDE * size, SIDE, size, first + column * size * SIDE, size / SIDE,
                 c[j & 1], SIDE, 0);
        vector zero = _mm512_setzero_ps(), b0 = _mm512_loadu_ps(first_bias + column * SIDE);
        vector b1 = _mm512_loadu_ps(first_bias + column * SIDE + 16);
        for (long row = 0; row < SIDE; row++) {
          const float *from = c[j & 1] + row * SIDE;
          vector v0 = _mm512_max_ps(_mm512_add_ps(_mm512_load_ps(from), b0), zero);
          vector v1 = _mm512_max_ps(_mm512_add_ps(_mm512_load_ps(from + 16), b1), zero);
          __m512i both = (__m512i)_mm512_cvtne2ps_pbh(v1, v0);
          bits[row] = _mm512_test_epi16_mask(both, both);
          _mm512_store_si512(to + row * SIDE, both);
        }
        pack(to, SIDE, panel, 1);
      }
      float *row_sums = sums + i * SIDE * size;
      row_product(row_blocks, BLOCK, SIDE, second + start / SIDE * BLOCK, width / SIDE, size,
                  count * SIDE, row_sums, start > 0);
      if (start + PART >= width) end_rows(end, i, row_sums);
    }
}

typedef struct {
  float *first, *first_bias, *second; /* gradients of the weights, written */
  bf16 *left, *right;                 /* [rows, width] and [rows, size]: room for panels */
} FeedForwardGradient;

void tiles_feed_forward_gradient(const bf16 *x, const bf16 *first, long width, const bf16 *second,
                                 const bf16 *hidden, const uint32_t *open, const Ending *end,
                                 const EndingGradient *ended, const FeedForwardGradient *g) {
  use_tiles();
  long size = end->size, rows = end->rows, depth = blocks(rows);
  static bf16 row_blocks[SIDE * PART] __attribute__((aligned(64)));
  float c[2][BLOCK] __attribute__((aligned(64)));
  end_gradient(end, ended);
  memset(g->first_bias, 0, width * sizeof(float));
  for (long start = 0; start < width; start += PART)
    for (long i = 0; i < depth; i++) {
      long count = at_most(width - start, PART) / SIDE;
      for (long j = 0; j < count; j++) {
        long column = start / SIDE + j;
        bf16 *to = row_blocks + j * BLOCK, *panel = g->left + (column * depth + i) * BLOCK;
        const uint32_t *bits = open + (i * (width / SIDE) + column) * SIDE;
        multiply(ended->output + i * SIDE * size, SIDE, size, second + column * size * SIDE,
                 size / SIDE, c[j & 1], SIDE, 0);
        vector s0 = _mm512_loadu_ps(g->first_bias + column * SIDE);
        vector s1 = _mm512_loadu_ps(g->first_bias + column * SIDE + 16);
        for (long row = 0; row < SIDE; row++) {
          const float *from = c[j & 1] + row * SIDE;
          vector v0 = _mm512_maskz_loadu_ps((__mmask16)bits[row], from);
          vector v1 = _mm512_maskz_loadu_ps((__mmask16)(bits[row] >> 16), from + 16);
          s0 = _mm512_add_ps(s0, v0);
          s1 = _mm512_add_ps(s1, v1);
          _mm512_store_si512(to + row * SIDE, (__m512i)_mm512_cvtne2ps_pbh(v1, v0));
        }
        _mm512_storeu_ps(g->first_bias + column * SIDE, s0);
        _mm512_storeu_ps(g->first_bias + column * SIDE + 16, s1);
        flip(to, SIDE, panel, 1);
      }
      row_product(row_blocks, BLOCK, SIDE, first + start / SIDE * BLOCK, width / SIDE, size,
                  count * SIDE, ended->residual + i * SIDE * size, 1);
    }
  panels(x, rows, size, 0, g->right);
  weight_gradient(g->left, g->right, rows, width, size, g->first);
  panels(ended->output, rows, size, 1, g->right);
  weight_gradient(g->right, hidden, rows, size, width, g->second);
}

/* ---- Attention ---- */

/* Sentences that follow each other share a group while they fit in a block together. Row i of the
 * queries sees the keys from first[i] up to last[i]. */
typedef struct {
  int32_t query, queries, key, keys; /* where the group begins, how many it has */
} Group;

typedef struct {
  long rows, key_rows, size, heads;
  const Group *groups;
  long group_count;
  const int32_t *first, *last; /* [rows] */
  bf16 *queries, *keys, *values; /* plain rows, these strides */
  long query_stride, key_stride;
  bf16 *mixed;       /* out: [rows, size] */
  float *normaliser; /* out: [heads, rows] log of the sum of the softmax */
} Heads;

/* Sixteen of the scores' lanes that a row sees, when they begin at key `at`. */
static inline __mmask16 seen(long at, long first, long last) {
  long from = first - at, to = last - at;
  uint32_t below = to >= 16 ? 0xffff : to <= 0 ? 0 : (1u << to) - 1;
  uint32_t before = from <= 0 ? 0 : from >= 16 ? 0xffff : (1u << from) - 1;
  return (__mmask16)(below & ~before);
}

static bf16 packed_keys[LONGEST * SIDE] __attribute__((aligned(64)));
static bf16 packed_values[LONGEST * SIDE] __attribute__((aligned(64)));
static float scores[16 * LONGEST] __attribute__((aligned(64)));

static void mix(const Heads *a) {
  static bf16 shares[16 * LONGEST] __attribute__((aligned(64)));
  float sums[16 * SIDE] __attribute__((aligned(64))), inverse[16];
  float root = 1 / sqrtf(SIDE);
  vector scale = _mm512_set1_ps(root);
  for (long g = 0; g < a->group_count; g++) {
    Group group = a->groups[g];
    long width = blocks(group.keys) * SIDE;
    for (long head = 0; head < a->heads; head++) {
      for (long k = 0; k < width; k += SIDE) {
        long from = (group.key + k) * a->key_stride + head * SIDE;
        pack_transposed(a->keys + from, a->key_stride, packed_keys + k * SIDE);
        pack(a->values + from, a->key_stride, packed_values + k * SIDE, 0);
      }
      for (long top = 0; top < group.queries; top += 16) {
        long row0 = group.query + top, count = at_most(group.queries - top, 16);
        written();
        _tile_loadd(4, a->queries + row0 * a->query_stride + head * SIDE, 2 * a->query_stride);
        for (long k = 0; k < width; k += SIDE) {
          _tile_zero(0);
          _tile_zero(1);
          _tile_loadd(6, packed_keys + k * SIDE, 64);
          _tile_loadd(7, packed_keys + k * SIDE + TILE, 64);
          _tile_dpbf16ps(0, 4, 6);
          _tile_dpbf16ps(1, 4, 7);
          _tile_stored(0, scores + k, 4 * width);
          _tile_stored(1, scores + k + 16, 4 * width);
        }
        for (long i = 0; i < count; i++) {
          float *row = scores + i * width;
          bf16 *to = shares + i * width;
          long first = a->first[row0 + i] - group.key, last = a->last[row0 + i] - group.key;
          vector most = _mm512_set1_ps(-INFINITY), sum = _mm512_setzero_ps();
          for (long k = 0; k < width; k += 16)
            most = _mm512_mask_max_ps(most, seen(k, first, last), most, _mm512_load_ps(row + k));
          float top_score = _mm512_reduce_max_ps(most) * root;
          most = _mm512_set1_ps(top_score);
          for (long k = 0; k < width; k += 16) {
            vector e = exponential(_mm512_fmsub_ps(_mm512_load_ps(row + k), scale, most));
            e = _mm512_maskz_mov_ps(seen(k, first, last), e);
            sum = _mm512_add_ps(sum, e);
            store_bf16(to + k, e);
          }
          float total = _mm512_reduce_add_ps(sum);
          inverse[i] = 1 / total;
          a->normaliser[head * a->rows + row0 + i] = top_score + logf(total);
        }
        written();
        _tile_zero(0);
        _tile_zero(1);
        for (long k = 0; k < width; k += SIDE) {
          _tile_loadd(5, shares + k, 2 * width);
          _tile_loadd(6, packed_values + k * SIDE, 64);
          _tile_loadd(7, packed_values + k * SIDE + TILE, 64);
          _tile_dpbf16ps(0, 5, 6);
          _tile_dpbf16ps(1, 5, 7);
        }
        _tile_stored(0, sums, 128);
        _tile_stored(1, sums + 16, 128);
        for (long i = 0; i < count; i++) {
          vector by = _mm512_set1_ps(inverse[i]);
          bf16 *to = a->mixed + (row0 + i) * a->size + head * SIDE;
          store_bf16(to, _mm512_mul_ps(_mm512_load_ps(sums + i * SIDE), by));
          store_bf16(to + 16, _mm512_mul_ps(_mm512_load_ps(sums + i * SIDE + 16), by));
        }
      }
    }
  }
}

/* to [rows, 32], bf16 = left blocks times packed blocks; only the first `rows` of 32. */
static void small_product(const bf16 *left, long left_step, long left_stride, const bf16 *right,
                          long depth, bf16 *to, long to_stride, long rows) {
  float c[BLOCK] __attribute__((aligned(64)));
  multiply(left, left_step, left_stride, right, depth, c, SIDE, 0);
  for (long i = 0; i < at_most(rows, SIDE); i++) {
    vector a = _mm512_load_ps(c + i * SIDE), b = _mm512_load_ps(c + i * SIDE + 16);
    _mm512_storeu_si512(to + i * to_stride, (__m512i)_mm512_cvtne2ps_pbh(b, a));
  }
}

typedef struct {
  float *inner, *inner_bias, *outer; /* gradients of the weights, written */
  bf16 *mixed;                       /* [rows, size]: room for its gradient */
  bf16 *queries, *keys, *values;     /* their gradients, laid out like them, written */
  bf16 *left, *right;                /* [rows, 3 size] each: room for panels */
  const float *guide; /* [rows, guide_stride] where the first head should look, or NULL; a row's
                         sum is one, or zero where nothing is known */
  long guide_stride;
  float guide_weight;
  double guide_loss; /* out: -sum of guide * log(share) */
} AttentionGradient;

/* Gradients of queries, keys and values from that of `mixed`, and from the guide. */
static void mix_gradient(const Heads *a, AttentionGradient *gradient) {
  const bf16 *dmixed = gradient->mixed;
  bf16 *dqueries = gradient->queries, *dkeys = gradient->keys, *dvalues = gradient->values;
  static bf16 plain_keys[LONGEST * SIDE] __attribute__((aligned(64)));
  static bf16 packed_queries[LONGEST * SIDE] __attribute__((aligned(64)));
  static bf16 packed_dmixed[LONGEST * SIDE] __attribute__((aligned(64)));
  static float dscores[16 * LONGEST] __attribute__((aligned(64)));
  static bf16 shares[LONGEST * LONGEST] __attribute__((aligned(64)));
  static bf16 dshares[LONGEST * LONGEST] __attribute__((aligned(64)));
  static bf16 flipped[LONGEST * SIDE] __attribute__((aligned(64)));
  float root = 1 / sqrtf(SIDE);
  vector scale = _mm512_set1_ps(root);
  vector guide_scale = _mm512_set1_ps(gradient->guide_weight * root);
  gradient->guide_loss = 0;
  for (long g = 0; g < a->group_count; g++) {
    Group group = a->groups[g];
    long width = blocks(group.keys) * SIDE, height = blocks(group.queries) * SIDE;
    for (long head = 0; head < a->heads; head++) {
      for (long k = 0; k < width; k += SIDE) {
        long from = (group.key + k) * a->key_stride + head * SIDE;
        pack_transposed(a->keys + from, a->key_stride, packed_keys + k * SIDE);
        pack_transposed(a->values + from, a->key_stride, packed_values + k * SIDE);
        pack(a->keys + from, a->key_stride, plain_keys + k * SIDE, 0);
      }
      for (long q = 0; q < height; q += SIDE) {
        long row = group.query + q;
        pack(a->queries + row * a->query_stride + head * SIDE, a->query_stride,
             packed_queries + q * SIDE, 0);
        pack(dmixed + row * a->size + head * SIDE, a->size, packed_dmixed + q * SIDE, 0);
      }
      for (long top = 0; top < height; top += 16) {
        long row0 = group.query + top, count = at_most(group.queries - top, 16);
        if (count < 0) count = 0;
        written();
        if (count) {
          _tile_loadd(4, a->queries + row0 * a->query_stride + head * SIDE, 2 * a->query_stride);
          _tile_loadd(5, dmixed + row0 * a->size + head * SIDE, 2 * a->size);
        }
        for (long k = 0; count && k < width; k += SIDE) {
          _tile_zero(0);
          _tile_zero(1);
          _tile_zero(2);
          _tile_zero(3);
          _tile_loadd(6, packed_keys + k * SIDE, 64);
          _tile_loadd(7, packed_keys + k * SIDE + TILE, 64);
          _tile_dpbf16ps(0, 4, 6);
          _tile_dpbf16ps(1, 4, 7);
          _tile_loadd(6, packed_values + k * SIDE, 64);
          _tile_loadd(7, packed_values + k * SIDE + TILE, 64);
          _tile_dpbf16ps(2, 5, 6);
          _tile_dpbf16ps(3, 5, 7);
          _tile_stored(0, scores + k, 4 * width);
          _tile_stored(1, scores + k + 16, 4 * width);
          _tile_stored(2, dscores + k, 4 * width);
          _tile_stored(3, dscores + k + 16, 4 * width);
        }
        for (long i = 0; i < count; i++) {
          long row = row0 + i, at = row * a->size + head * SIDE;
          long first = a->first[row] - group.key, last = a->last[row] - group.key;
          vector inner = _mm512_mul_ps(load_bf16(dmixed + at), load_bf16(a->mixed + at));
          inner = _mm512_fmadd_ps(load_bf16(dmixed + at + 16), load_bf16(a->mixed + at + 16),
                                  inner);
          inner = _mm512_set1_ps(_mm512_reduce_add_ps(inner));
          vector less = _mm512_set1_ps(a->normaliser[head * a->rows + row]);
          /* Cross-entropy's gradient is the share minus the guide. */
          const float *guide = head == 0 && gradient->guide
                                   ? gradient->guide + row * gradient->guide_stride - first
                                   : NULL;
          vector known = _mm512_setzero_ps(), missed = known;
          for (long k = 0; guide && k < width; k += 16)
            known = _mm512_add_ps(known,
                                  _mm512_maskz_loadu_ps(seen(k, first, last), guide + k));
          known = _mm512_set1_ps(_mm512_reduce_add_ps(known));
          for (long k = 0; k < width; k += 16) {
            __mmask16 mask = seen(k, first, last);
            vector log = _mm512_fmsub_ps(_mm512_load_ps(scores + i * width + k), scale, less);
            vector p = _mm512_maskz_mov_ps(mask, exponential(log));
            vector d = _mm512_sub_ps(_mm512_load_ps(dscores + i * width + k), inner);
            d = _mm512_maskz_mul_ps(mask, _mm512_mul_ps(p, scale), d);
            if (guide) {
              vector wanted = _mm512_maskz_loadu_ps(mask, guide + k);
              missed = _mm512_mask3_fnmadd_ps(wanted, log, missed, mask);
              d = _mm512_fmadd_ps(_mm512_fmsub_ps(p, known, wanted), guide_scale, d);
            }
            store_bf16(shares + (top + i) * width + k, p);
            store_bf16(dshares + (top + i) * width + k, d);
          }
          gradient->guide_loss += _mm512_reduce_add_ps(missed);
        }
        memset(shares + (top + count) * width, 0, (16 - count) * width * sizeof *shares);
        memset(dshares + (top + count) * width, 0, (16 - count) * width * sizeof *dshares);
      }
      for (long q = 0; q < height; q += SIDE)
        small_product(dshares + q * width, SIDE, width, plain_keys, width / SIDE,
                      dqueries + (group.query + q) * a->query_stride + head * SIDE,
                      a->query_stride, group.queries - q);
      for (long k = 0; k < width; k += SIDE) {
        long to = (group.key + k) * a->key_stride + head * SIDE;
        for (long q = 0; q < height; q += SIDE)
          flip(shares + q * width + k, width, flipped + q * SIDE, 0);
        small_product(flipped, BLOCK, SIDE, packed_dmixed, height / SIDE, dvalues + to,
                      a->key_stride, group.keys - k);
        for (long q = 0; q < height; q += SIDE)
          flip(dshares + q * width + k, width, flipped + q * SIDE, 0);
        small_product(flipped, BLOCK, SIDE, packed_queries, height / SIDE, dkeys + to,
                      a->key_stride, group.keys - k);
      }
    }
  }
}

/* Zeroes the rest of the last block and one more: a group's last block may reach into it. */
static void clear_after(bf16 *rows, long count, long columns) {
  memset(rows + count * columns, 0, ((blocks(count) + 1) * SIDE - count) * columns * sizeof *rows);
}

/* LN(x + dropout(attention(x))). `inner` is the packed weight of queries, keys and values, or of
 * queries alone when keys and values are those of `tiles_memory`. */
void tiles_attention(const bf16 *x, const bf16 *inner, const float *inner_bias, long inner_size,
                     const bf16 *outer, const Heads *a, const Ending *end) {
  use_tiles();
  long size = end->size;
  float rows[SIDE * WIDEST] __attribute__((aligned(64)));
  product(x, inner, a->rows, inner_size, size, inner_bias, a->queries);
  clear_after(a->queries, a->rows, inner_size);
  mix(a);
  clear_after(a->mixed, a->rows, size);
  for (long i = 0; i < blocks(a->rows); i++) {
    row_product(a->mixed + i * SIDE * size, SIDE, size, outer, size / SIDE, size, size, rows, 0);
    end_rows(end, i, rows);
  }
}

void tiles_attention_gradient(const bf16 *x, const bf16 *inner, long inner_size, const bf16 *outer,
                              const Heads *a, const Ending *end, const EndingGradient *ended,
                              AttentionGradient *g) {
  use_tiles();
  long size = end->size, rows = a->rows;
  end_gradient(end, ended);
  panels(ended->output, rows, size, 1, g->left);
  panels(a->mixed, rows, size, 0, g->right);
  weight_gradient(g->left, g->right, rows, size, size, g->outer);
  product(ended->output, outer, rows, size, size, NULL, g->mixed);
  clear_after(g->mixed, rows, size);
  mix_gradient(a, g);
  clear_after(g->queries, rows, inner_size);
  column_sums(g->queries, rows, inner_size, g->inner_bias);
  panels(g->queries, rows, inner_size, 1, g->left);
  panels(x, rows, size, 0, g->right);
  weight_gradient(g->left, g->right, rows, inner_size, size, g->inner);
  product_added(g->queries, inner, rows, size, inner_size, ended->residual);
}

/* Keys and values [rows, 2 size] of the encoder's output, for one decoder layer. */
void tiles_memory(const bf16 *x, const bf16 *weight, const float *bias, long rows, long size,
                  bf16 *out) {
  use_tiles();
  product(x, weight, rows, 2 * size, size, bias, out);
  clear_after(out, rows, 2 * size);
}

/* dx += what `dout` asks of x. */
void tiles_memory_gradient(const bf16 *x, const bf16 *weight, long rows, long size, bf16 *dout,
                           float *dweight, float *dbias, float *dx, bf16 *left, bf16 *right) {
  use_tiles();
  clear_after(dout, rows, 2 * size);
  column_sums(dout, rows, 2 * size, dbias);
  panels(dout, rows, 2 * size, 1, left);
  panels(x, rows, size, 0, right);
  weight_gradient(left, right, rows, 2 * size, size, dweight);
  product_added(dout, weight, rows, size, 2 * size, dx);
}

/* ---- Loss ---- */

#define STRETCH 32 /* blocks of the vocabulary whose weights stay in the L2 cache */

typedef struct {
  long rows, size, vocabulary;
  const bf16 *x;                 /* [rows, size] */
  const float *weight;           /* [vocabulary, size] */
  const bf16 *forward, *backward; /* the same, packed */
  const float *bias;             /* [vocabulary], filled up to whole blocks with -1e30 */
  const int32_t *targets;        /* [rows], places in this vocabulary */
  const int64_t *pieces;         /* [vocabulary], places in the gradients */
  float smoothing;
  bf16 *powers;                  /* room: [rows, vocabulary] blocked */
  float *sums;                   /* room: [rows, 16] */
  bf16 *scaled;                  /* room: [rows, size] */
  bf16 *left, *right;            /* room for panels */
  float *dx;                     /* out: [rows, size] */
  float *dweight, *dbias;        /* added to, at `pieces` */
  double loss, likelihood;       /* out: means */
} Loss;

static inline float inner_product(const bf16 *x, const float *y, long size) {
  vector sum = _mm512_setzero_ps();
  for (long j = 0; j < size; j += 16)
    sum = _mm512_fmadd_ps(load_bf16(x + j), _mm512_loadu_ps(y + j), sum);
  return _mm512_reduce_add_ps(sum);
}

/* The label-smoothed cross-entropy and its gradients. Only e^logit is ever stored: what turns it
 * into the logits' gradient is a factor for each row, and additions that are products of vectors.
 */
void tiles_loss(Loss *l) {
  use_tiles();
  long size = l->size, depth = size / SIDE, height = blocks(l->rows), width = blocks(l->vocabulary);
  float c[2][BLOCK] __attribute__((aligned(64))), rows[SIDE * WIDEST] __attribute__((aligned(64)));
  float total_x[WIDEST] = {0}, total_weight[WIDEST] = {0}, inverse[SIDE];
  vector floor = _mm512_set1_ps(-87), ceiling = _mm512_set1_ps(80);

  memset(l->sums, 0, height * SIDE * 16 * sizeof(float));
  for (long start = 0; start < width; start += STRETCH)
    for (long i = 0; i < height; i++)
      for (long j = start; j < at_most(start + STRETCH, width); j++) {
        float *logits = c[j & 1];
        multiply(l->x + i * SIDE * size, SIDE, size, l->forward + j * depth * BLOCK, depth,
                 logits, SIDE, 0);
        bf16 *to = l->powers + (i * width + j) * BLOCK;
        vector b0 = _mm512_loadu_ps(l->bias + j * SIDE);
        vector b1 = _mm512_loadu_ps(l->bias + j * SIDE + 16);
        for (long row = 0; row < SIDE; row++) {
          vector v0 = _mm512_add_ps(_mm512_load_ps(logits + row * SIDE), b0);
          vector v1 = _mm512_add_ps(_mm512_load_ps(logits + row * SIDE + 16), b1);
          v0 = exponential(_mm512_min_ps(_mm512_max_ps(v0, floor), ceiling));
          v1 = exponential(_mm512_min_ps(_mm512_max_ps(v1, floor), ceiling));
          float *sum = l->sums + (i * SIDE + row) * 16;
          _mm512_storeu_ps(sum, _mm512_add_ps(_mm512_loadu_ps(sum), _mm512_add_ps(v0, v1)));
          _mm512_store_si512(to + row * SIDE, (__m512i)_mm512_cvtne2ps_pbh(v1, v0));
        }
      }

  double bias_mean = 0, loss = 0, likelihood = 0;
  for (long i = 0; i < l->vocabulary; i++) {
    bias_mean += l->bias[i] / l->vocabulary;
    for (long j = 0; j < size; j++) total_weight[j] += l->weight[i * size + j];
  }
  for (long i = 0; i < l->rows; i++) {
    const bf16 *row = l->x + i * size;
    float sum = _mm512_reduce_add_ps(_mm512_loadu_ps(l->sums + i * 16));
    float mean = inner_product(row, total_weight, size) / l->vocabulary + bias_mean;
    float chosen = inner_product(row, l->weight + l->targets[i] * size, size);
    chosen += l->bias[l->targets[i]];
    float normaliser = logf(sum);
    loss += normaliser - (1 - l->smoothing) * chosen - l->smoothing * mean;
    likelihood += normaliser - chosen;
    l->sums[i * 16] = 1 / sum; /* from here on, the factor of the row */
    vector factor = _mm512_set1_ps(1 / sum);
    for (long j = 0; j < size; j += 16) {
      vector value = load_bf16(row + j);
      store_bf16(l->scaled + i * size + j, _mm512_mul_ps(value, factor));
      _mm512_storeu_ps(total_x + j, _mm512_add_ps(_mm512_loadu_ps(total_x + j), value));
    }
  }
  for (long i = l->rows; i < height * SIDE; i++) l->sums[i * 16] = 0;
  memset(l->scaled + l->rows * size, 0, (height * SIDE - l->rows) * size * sizeof(bf16));
  l->loss = loss / l->rows;
  l->likelihood = likelihood / l->rows;

  for (long start = 0; start < width; start += STRETCH)
    for (long i = 0; i < height; i++)
      for (long j = 0; j < depth; j++) {
        const bf16 *left = l->powers + (i * width + start) * BLOCK;
        const bf16 *right = l->backward + (j * width + start) * BLOCK;
        multiply(left, BLOCK, SIDE, right, at_most(width - start, STRETCH),
                 l->dx + i * SIDE * size + j * SIDE, size, start > 0);
      }
  float each = l->smoothing / l->vocabulary, one = 1.0f / l->rows, hit = 1 - l->smoothing;
  for (long i = 0; i < l->rows; i++) {
    float *dx = l->dx + i * size, factor = l->sums[i * 16];
    const float *target = l->weight + l->targets[i] * size;
    for (long j = 0; j < size; j++)
      dx[j] = (dx[j] * factor - each * total_weight[j] - hit * target[j]) * one;
  }
  memset(l->dx + l->rows * size, 0, (height * SIDE - l->rows) * size * sizeof(float));

  panels(l->scaled, l->rows, size, 0, l->right);
  for (long i = 0; i < width; i++) {
    vector s0 = _mm512_setzero_ps(), s1 = s0;
    for (long k = 0; k < height; k++) {
      const bf16 *from = l->powers + (k * width + i) * BLOCK;
      flip(from, SIDE, l->left + k * BLOCK, 0);
      for (long row = 0; row < SIDE; row++) {
        vector factor = _mm512_set1_ps(l->sums[(k * SIDE + row) * 16]);
        s0 = _mm512_fmadd_ps(load_bf16(from + row * SIDE), factor, s0);
        s1 = _mm512_fmadd_ps(load_bf16(from + row * SIDE + 16), factor, s1);
      }
    }
    _mm512_storeu_ps(inverse, s0);
    _mm512_storeu_ps(inverse + 16, s1);
    for (long j = 0; j < depth; j++)
      multiply(l->left, BLOCK, SIDE, l->right + j * height * BLOCK, height, rows + j * SIDE, size,
               0);
    for (long row = 0; row < at_most(l->vocabulary - i * SIDE, SIDE); row++) {
      long piece = l->pieces[i * SIDE + row];
      float *to = l->dweight + piece * size;
      for (long j = 0; j < size; j++) to[j] += (rows[row * size + j] - each * total_x[j]) * one;
      l->dbias[piece] += (inverse[row] - each * l->rows) * one;
    }
  }
  for (long i = 0; i < l->rows; i++) {
    long piece = l->pieces[l->targets[i]];
    float *to = l->dweight + piece * size;
    vector factor = _mm512_set1_ps(-hit * one);
    for (long j = 0; j < size; j += 16)
      _mm512_storeu_ps(to + j, _mm512_fmadd_ps(load_bf16(l->x + i * size + j), factor,
                                               _mm512_loadu_ps(to + j)));
    l->dbias[piece] -= hit * one;
  }
}

/* ---- Optimiser: everything in one flat array, a multiple of 16 long ---- */

double tiles_norm(const float *gradient, long count) {
  double total = 0;
  for (long start = 0; start < count; start += 4096) {
    vector sum = _mm512_setzero_ps(), other = sum;
    for (long i = start; i < at_most(start + 4096, count); i += 32) {
      vector a = _mm512_loadu_ps(gradient + i), b = _mm512_loadu_ps(gradient + i + 16);
      sum = _mm512_fmadd_ps(a, a, sum);
      other = _mm512_fmadd_ps(b, b, other);
    }
    total += _mm512_reduce_add_ps(_mm512_add_ps(sum, other));
  }
  return sqrt(total);
}

/* Adam's step with gradients times `scale`; then average += (weight - average) * toward. */
void tiles_adam(float *weight, const float *gradient, float *mean, float *square, float *average,
                long count, float scale, float rate, float decay1, float decay2, float epsilon,
                long step, float toward) {
  vector correct = _mm512_set1_ps(1 / sqrt(1 - pow(decay2, step)));
  vector move = _mm512_set1_ps(-rate / (1 - pow(decay1, step))), by = _mm512_set1_ps(scale);
  vector new1 = _mm512_set1_ps(1 - decay1), new2 = _mm512_set1_ps(1 - decay2);
  vector old2 = _mm512_set1_ps(decay2), small = _mm512_set1_ps(epsilon);
  for (long i = 0; i < count; i += 16) {
    vector g = _mm512_mul_ps(_mm512_loadu_ps(gradient + i), by);
    vector m = _mm512_loadu_ps(mean + i), v = _mm512_loadu_ps(square + i);
    m = _mm512_fmadd_ps(_mm512_sub_ps(g, m), new1, m);
    v = _mm512_fmadd_ps(_mm512_mul_ps(g, g), new2, _mm512_mul_ps(v, old2));
    _mm512_storeu_ps(mean + i, m);
    _mm512_storeu_ps(square + i, v);
    vector below = _mm512_fmadd_ps(_mm512_sqrt_ps(v), correct, small);
    vector w = _mm512_fmadd_ps(_mm512_div_ps(m, below), move, _mm512_loadu_ps(weight + i));
    _mm512_storeu_ps(weight + i, w);
    if (toward) {
      vector a = _mm512_loadu_ps(average + i);
      _mm512_storeu_ps(average + i,
                       _mm512_fmadd_ps(_mm512_sub_ps(w, a), _mm512_set1_ps(toward), a));
    }
  }
}
