/* Matrix products whose factors are rounded to half precision, for CPUs with AVX512-FP16.
 *
 * Such a CPU multiplies twice as many halves as floats at a time. Sums run in halves over DEPTH
 * products at most and are then added to floats: an error of about 0.2 % of a result, less than
 * bfloat16's rounding of the factors alone.
 */
#include <immintrin.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define ROWS 12    /* of a tile of the result: 24 registers of sums, ... */
#define COLUMNS 64 /* ... two of the right factor, one of the left */
#define DEPTH 128
#define BLOCK (21 * ROWS) /* rows of the left factor that are packed at a time, to stay in cache */

typedef _Float16 half;

static long at_most(long value, long limit) { return value < limit ? value : limit; }

/* The first `count` of 16 lanes; none for a negative count. */
static __mmask16 lanes(long count) {
  return count >= 16 ? 0xffff : count <= 0 ? 0 : (__mmask16)((1u << count) - 1);
}

/* How many halves `half_pack` writes. */
long half_packed_size(long columns, long depth) {
  return (columns + COLUMNS - 1) / COLUMNS * COLUMNS * depth;
}

/* The right factor [depth, columns] in panels [depth, COLUMNS]; one of its two strides is 1. */
void half_pack(const float *from, long depth_stride, long column_stride, long columns, long depth,
               half *to) {
  __m512i places = _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
  places = _mm512_mullo_epi32(places, _mm512_set1_epi32((int)column_stride));
  for (long panel = 0; panel < columns; panel += COLUMNS, to += COLUMNS * depth)
    for (long x = 0; x < COLUMNS; x += 16) {
      __mmask16 real = lanes(columns - panel - x);
      const float *start = from + (panel + x) * column_stride;
      for (long k = 0; k < depth; k++) {
        __m512 value;
        if (column_stride == 1)
          value = _mm512_maskz_loadu_ps(real, start + k * depth_stride);
        else
          value = _mm512_mask_i32gather_ps(_mm512_setzero_ps(), real, places,
                                           start + k * depth_stride, 4);
        _mm256_storeu_si256((__m256i *)(to + k * COLUMNS + x),
                            (__m256i)_mm512_cvtxps_ph(value));
      }
    }
}

/* Each half twice, side by side: 32 bits can be broadcast from memory at no cost, 16 cannot. */
static __m512i twice(__m512 value) {
  __m512i wide = _mm512_cvtepu16_epi32((__m256i)_mm512_cvtxps_ph(value));
  return _mm512_or_si512(wide, _mm512_slli_epi32(wide, 16));
}

/* The left factor in tiles of ROWS by DEPTH, stored the way it is contiguous: row by row
 * (`depth_stride` 1) or column by column (`row_stride` 1). */
static void pack_left(const float *from, long row_stride, long depth_stride, long rows, long depth,
                      uint32_t *to) {
  for (long i = 0; i < rows; i += ROWS)
    for (long k = 0; k < depth; k += DEPTH, to += ROWS * DEPTH) {
      long height = at_most(rows - i, ROWS), length = at_most(depth - k, DEPTH);
      const float *start = from + i * row_stride + k * depth_stride;
      if (depth_stride == 1) {
        memset(to + height * DEPTH, 0, (ROWS - height) * DEPTH * sizeof *to);
        for (long row = 0; row < height; row++)
          for (long x = 0; x < length; x += 16)
            _mm512_storeu_si512(
                to + row * DEPTH + x,
                twice(_mm512_maskz_loadu_ps(lanes(length - x), start + row * row_stride + x)));
      } else {
        for (long x = 0; x < length; x++)
          _mm512_mask_storeu_epi32(
              to + x * ROWS, lanes(ROWS),
              twice(_mm512_maskz_loadu_ps(lanes(height), start + x * depth_stride)));
      }
    }
}

#define EACH_ROW(f) f(0) f(1) f(2) f(3) f(4) f(5) f(6) f(7) f(8) f(9) f(10) f(11)

/* One tile of the result; `by_row` is a constant wherever this is inlined. */
static inline __attribute__((always_inline)) void tile(int by_row, const uint32_t *left,
                                                       const half *right, long depth, float *out,
                                                       long out_stride, long height, long width,
                                                       int fresh, const float *bias) {
#define ZERO(i) __m512h low##i = _mm512_setzero_ph(), high##i = _mm512_setzero_ph();
  EACH_ROW(ZERO)
  for (long k = 0; k < depth; k++, right += COLUMNS, left += by_row ? 1 : ROWS) {
    __m512h first = _mm512_loadu_ph(right), second = _mm512_loadu_ph(right + 32);
#define ADD(i)                                                                                    \
  {                                                                                               \
    __m512h factor = (__m512h)_mm512_set1_epi32(left[by_row ? (i) * DEPTH : (i)]);                \
    low##i = _mm512_fmadd_ph(first, factor, low##i);                                              \
    high##i = _mm512_fmadd_ph(second, factor, high##i);                                           \
  }
    EACH_ROW(ADD)
  }
  __mmask16 real[4];
  __m512 start[4];
  for (int part = 0; part < 4; part++) {
    real[part] = lanes(width - 16 * part);
    start[part] =
        bias ? _mm512_maskz_loadu_ps(real[part], bias + 16 * part) : _mm512_setzero_ps();
  }
#define QUARTER(i, part, sums, side)                                                              \
  {                                                                                               \
    __m512 sum = _mm512_cvtxph_ps((__m256h)_mm512_extracti64x4_epi64((__m512i)(sums), side));     \
    __m512 old = fresh ? start[part] : _mm512_maskz_loadu_ps(real[part], row + 16 * (part));      \
    _mm512_mask_storeu_ps(row + 16 * (part), real[part], _mm512_add_ps(old, sum));                \
  }
#define STORE(i)                                                                                  \
  if (i < height) {                                                                               \
    float *row = out + (i) * out_stride;                                                          \
    QUARTER(i, 0, low##i, 0) QUARTER(i, 1, low##i, 1)                                             \
    QUARTER(i, 2, high##i, 0) QUARTER(i, 3, high##i, 1)                                           \
  }
  EACH_ROW(STORE)
}

/* out [rows, columns] = left [rows, depth] times a packed right factor, plus bias [columns] when
 * there is one; with `add`, the product is added to what `out` holds. */
void half_product(const float *left, long row_stride, long depth_stride, const half *right,
                  float *out, long out_stride, long rows, long columns, long depth,
                  const float *bias, int add) {
  static _Thread_local uint32_t *packed;
  static _Thread_local long room;
  long tiles = (depth + DEPTH - 1) / DEPTH;
  if (room < tiles) {
    free(packed);
    packed = aligned_alloc(64, BLOCK * DEPTH * tiles * sizeof *packed);
    if (!packed) abort();
    room = tiles;
  }
  for (long block = 0; block < rows; block += BLOCK) {
    long count = at_most(rows - block, BLOCK);
    pack_left(left + block * row_stride, row_stride, depth_stride, count, depth, packed);
    for (long j = 0; j < columns; j += COLUMNS)
      for (long k = 0; k < tiles; k++)
        for (long i = 0; i < count; i += ROWS) {
          const uint32_t *from = packed + (i / ROWS * tiles + k) * ROWS * DEPTH;
          const half *panel = right + j * depth + k * DEPTH * COLUMNS;
          float *to = out + (block + i) * out_stride + j;
          int fresh = k == 0 && !add;
          if (depth_stride == 1)
            tile(1, from, panel, at_most(depth - k * DEPTH, DEPTH), to, out_stride, count - i,
                 columns - j, fresh, fresh && bias ? bias + j : NULL);
          else
            tile(0, from, panel, at_most(depth - k * DEPTH, DEPTH), to, out_stride, count - i,
                 columns - j, fresh, fresh && bias ? bias + j : NULL);
        }
  }
}
