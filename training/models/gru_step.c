/* What PyTorch has no fast operation for in the GRU's training step: the gates of a cell, additive
 * attention, and the softmax's gradient. Matrix products are PyTorch's, in bfloat16.
 *
 * A row is one real token; all tokens of a step lie together, the sentences that are longest first,
 * so that the sentences which still go on are the first rows of every step. Matrices are bfloat16,
 * states and what is added up are f32. Widths are multiples of 16.
 */
#include <math.h>
#include <string.h>

#include "vectors.h"

#define LONGEST 512 /* pieces in a sentence */
#define WIDEST 2048 /* three gates */

static inline vector all(float value) { return _mm512_set1_ps(value); }

/* 1 / x, to about 1e-7 of it; 0 for infinity. */
static inline vector inverse(vector x) {
  vector guess = _mm512_rcp14_ps(x);
  vector better = _mm512_mul_ps(guess, _mm512_fnmadd_ps(x, guess, all(2)));
  return _mm512_mask_mov_ps(better, _mm512_cmp_ps_mask(x, all(INFINITY), _CMP_EQ_OQ), all(0));
}

static inline vector sigmoid(vector x) {
  return inverse(_mm512_add_ps(all(1), exponential(_mm512_sub_ps(all(0), x))));
}

static inline vector tangent(vector x) {
  vector power = exponential(_mm512_add_ps(x, x));
  return _mm512_fnmadd_ps(all(2), inverse(_mm512_add_ps(power, all(1))), all(1));
}

/* ---- What weights learn ---- */

/* A block [8, 8], transposed. */
static inline void transpose_block(const bf16 *from, long stride, bf16 *to, long rows) {
  __m128i a[8], b[8];
  for (int i = 0; i < 8; i++) a[i] = _mm_loadu_si128((const __m128i *)(from + i * stride));
  for (int i = 0; i < 4; i++) {
    b[2 * i] = _mm_unpacklo_epi16(a[i], a[i + 4]);
    b[2 * i + 1] = _mm_unpackhi_epi16(a[i], a[i + 4]);
  }
  for (int i = 0; i < 4; i++) {
    a[2 * i] = _mm_unpacklo_epi16(b[i], b[i + 4]);
    a[2 * i + 1] = _mm_unpackhi_epi16(b[i], b[i + 4]);
  }
  for (int i = 0; i < 4; i++) {
    b[2 * i] = _mm_unpacklo_epi16(a[i], a[i + 4]);
    b[2 * i + 1] = _mm_unpackhi_epi16(a[i], a[i + 4]);
  }
  for (int i = 0; i < 8; i++) _mm_storeu_si128((__m128i *)(to + i * rows), b[i]);
}

/* to [columns, rows] = from [rows, columns]; both numbers multiples of 32: whole cache lines. */
void gru_transpose(const bf16 *from, long stride, long rows, long columns, bf16 *to) {
  for (long row = 0; row < rows; row += 32)
    for (long column = 0; column < columns; column += 32)
      for (long j = column; j < column + 32; j += 8)
        for (long i = row; i < row + 32; i += 8)
          transpose_block(from + i * stride + j, stride, to + j * rows + i, rows);
}

/* sums [columns] of [rows, columns]. */
void gru_sum(const bf16 *from, long stride, long rows, long columns, float *sums) {
  memset(sums, 0, columns * sizeof *sums);
  for (long row = 0; row < rows; row++, from += stride)
    for (long j = 0; j < columns; j += 16)
      _mm512_storeu_ps(sums + j, _mm512_add_ps(_mm512_loadu_ps(sums + j), load_bf16(from + j)));
}

/* ---- A cell of PyTorch's GRU: gates r, z, n; n uses r * (W_hn h + b_hn) ---- */

typedef struct {
  long rows, size;          /* sentences that go on, width of the state */
  const bf16 *input;        /* W_i x [.., 3 size] */
  const int32_t *places;    /* row of `input` for each sentence, NULL: the same */
  long input_stride;
  const bf16 *state;        /* W_h h [rows, 3 size] */
  long state_stride;
  const float *input_bias, *state_bias; /* [3 size] */
  const float *before;      /* the previous state */
  float *after;             /* the new one */
  bf16 *after16, *gates;    /* gates [rows, 3 size]: r, z, n, for the backward pass */
} Cell;

static void cell_row(const Cell *c, long row, const float *extra) {
  long size = c->size;
  const bf16 *input = c->input + (c->places ? c->places[row] : row) * c->input_stride;
  const bf16 *state = c->state + row * c->state_stride;
  bf16 *gates = c->gates + row * 3 * size;
  for (long j = 0; j < size; j += 16) {
    vector in[3], from[3];
    for (int gate = 0; gate < 3; gate++) {
      long at = gate * size + j;
      in[gate] = _mm512_add_ps(load_bf16(input + at), _mm512_loadu_ps(c->input_bias + at));
      if (extra) in[gate] = _mm512_add_ps(in[gate], _mm512_loadu_ps(extra + at));
      from[gate] = _mm512_add_ps(load_bf16(state + at), _mm512_loadu_ps(c->state_bias + at));
    }
    vector reset = sigmoid(_mm512_add_ps(in[0], from[0]));
    vector update = sigmoid(_mm512_add_ps(in[1], from[1]));
    vector candidate = tangent(_mm512_fmadd_ps(reset, from[2], in[2]));
    vector before = _mm512_loadu_ps(c->before + row * size + j);
    vector after = _mm512_fmadd_ps(update, _mm512_sub_ps(before, candidate), candidate);
    _mm512_storeu_ps(c->after + row * size + j, after);
    store_bf16(c->after16 + row * size + j, after);
    store_bf16(gates + j, reset);
    store_bf16(gates + size + j, update);
    store_bf16(gates + 2 * size + j, candidate);
  }
}

void gru_cell(const Cell *c) {
  for (long row = 0; row < c->rows; row++) cell_row(c, row, NULL);
}

typedef struct {
  long rows, carried_rows;  /* sentences of this step, and of the step after it */
  const bf16 *gradient;     /* of the new state [rows, stride] */
  long gradient_stride;
  const bf16 *carried;      /* through the products of the step after it [carried_rows, size] */
  float *kept;              /* past its gates [carried_rows, size]; this step's [rows, size] */
  bf16 *input;              /* of W_i x, at `places` */
  const int32_t *places;
  long input_stride;
  bf16 *state;              /* of W_h h */
  long state_stride;
} CellGradient;

static void cell_gradient_row(const Cell *c, const CellGradient *g, long row) {
  long size = c->size;
  const bf16 *gates = c->gates + row * 3 * size, *from = c->state + row * c->state_stride;
  bf16 *input = g->input + (g->places ? g->places[row] : row) * g->input_stride;
  bf16 *state = g->state + row * g->state_stride;
  vector one = all(1);
  for (long j = 0; j < size; j += 16) {
    vector total = load_bf16(g->gradient + row * g->gradient_stride + j);
    if (row < g->carried_rows) {
      total = _mm512_add_ps(total, load_bf16(g->carried + row * size + j));
      total = _mm512_add_ps(total, _mm512_loadu_ps(g->kept + row * size + j));
    }
    vector reset = load_bf16(gates + j), update = load_bf16(gates + size + j);
    vector candidate = load_bf16(gates + 2 * size + j);
    vector hidden = _mm512_add_ps(load_bf16(from + 2 * size + j),
                                  _mm512_loadu_ps(c->state_bias + 2 * size + j));
    vector before = _mm512_loadu_ps(c->before + row * size + j);
    vector kept = _mm512_mul_ps(total, update);
    _mm512_storeu_ps(g->kept + row * size + j, kept);
    vector d_candidate = _mm512_mul_ps(_mm512_sub_ps(total, kept),
                                       _mm512_fnmadd_ps(candidate, candidate, one));
    vector d_update = _mm512_mul_ps(_mm512_mul_ps(kept, _mm512_sub_ps(one, update)),
                                    _mm512_sub_ps(before, candidate));
    vector d_reset = _mm512_mul_ps(_mm512_mul_ps(d_candidate, hidden),
                                   _mm512_mul_ps(reset, _mm512_sub_ps(one, reset)));
    store_bf16(input + j, d_reset);
    store_bf16(input + size + j, d_update);
    store_bf16(input + 2 * size + j, d_candidate);
    store_bf16(state + j, d_reset);
    store_bf16(state + size + j, d_update);
    store_bf16(state + 2 * size + j, _mm512_mul_ps(d_candidate, reset));
  }
}

void gru_cell_gradient(const Cell *c, const CellGradient *g) {
  for (long row = 0; row < c->rows; row++) cell_gradient_row(c, g, row);
}

/* ---- Additive attention: softmax of score · tanh(key + query), then the decoder's cell ---- */

typedef struct {
  const int32_t *starts, *lengths; /* each sentence's rows of keys and values */
  const bf16 *keys, *values;       /* [.., width], [.., 3 size] */
  long width;
  const float *score, *bias;       /* [width] */
  float *weights;                  /* [rows, stride] */
  long weight_stride;
} Attention;

/* The query lies behind the state's gates in `c->state`. */
void gru_attend(const Cell *c, const Attention *a) {
  long size = c->size, width = a->width;
  float query[WIDEST], mixed[WIDEST];
  for (long row = 0; row < c->rows; row++) {
    const bf16 *raw = c->state + row * c->state_stride + 3 * size;
    for (long j = 0; j < width; j += 16)
      _mm512_storeu_ps(query + j, _mm512_add_ps(load_bf16(raw + j), _mm512_loadu_ps(a->bias + j)));
    const bf16 *keys = a->keys + a->starts[row] * width;
    const bf16 *values = a->values + a->starts[row] * 3 * size;
    float *weights = a->weights + row * a->weight_stride, highest = -INFINITY, total = 0;
    long length = a->lengths[row];
    for (long s = 0; s < length; s++) {
      vector sum = all(0), other = all(0);
      for (long j = 0; j < width; j += 32) {
        const bf16 *key = keys + s * width + j;
        vector e = tangent(_mm512_add_ps(load_bf16(key), _mm512_loadu_ps(query + j)));
        vector f = tangent(_mm512_add_ps(load_bf16(key + 16), _mm512_loadu_ps(query + j + 16)));
        sum = _mm512_fmadd_ps(e, _mm512_loadu_ps(a->score + j), sum);
        other = _mm512_fmadd_ps(f, _mm512_loadu_ps(a->score + j + 16), other);
      }
      weights[s] = _mm512_reduce_add_ps(_mm512_add_ps(sum, other));
      highest = fmaxf(highest, weights[s]);
    }
    for (long s = 0; s < length; s++) total += weights[s] = expf(weights[s] - highest);
    for (long s = 0; s < length; s++) weights[s] /= total;
    for (long j = 0; j < 3 * size; j += 64) {
      vector sums[4] = {all(0), all(0), all(0), all(0)};
      for (long s = 0; s < length; s++) {
        vector weight = all(weights[s]);
        for (int i = 0; i < 4; i++)
          sums[i] = _mm512_fmadd_ps(load_bf16(values + s * 3 * size + j + 16 * i), weight, sums[i]);
      }
      for (int i = 0; i < 4; i++) _mm512_storeu_ps(mixed + j + 16 * i, sums[i]);
    }
    cell_row(c, row, mixed);
  }
}

/* `d_weights` [rows, stride]: what the contexts passed on. `d_keys` [.., width] is added to, still
 * without the factor `score`; `d_score` [width] is added to. */
void gru_attend_gradient(const Cell *c, const CellGradient *g, const Attention *a,
                         const float *d_weights, float *d_keys, float *d_score) {
  long size = c->size, width = a->width;
  float d_scores[LONGEST];
  for (long row = 0; row < c->rows; row++) {
    cell_gradient_row(c, g, row);
    const bf16 *input = g->input + row * g->input_stride;
    const bf16 *keys = a->keys + a->starts[row] * width;
    const bf16 *values = a->values + a->starts[row] * 3 * size;
    const float *weights = a->weights + row * a->weight_stride;
    const float *passed = d_weights + row * a->weight_stride;
    float *to = d_keys + a->starts[row] * width, mean = 0;
    long length = a->lengths[row];
    for (long s = 0; s < length; s++) {
      vector sum = all(0), other = all(0);
      for (long j = 0; j < 3 * size; j += 32) {
        const bf16 *value = values + s * 3 * size + j;
        sum = _mm512_fmadd_ps(load_bf16(value), load_bf16(input + j), sum);
        other = _mm512_fmadd_ps(load_bf16(value + 16), load_bf16(input + j + 16), other);
      }
      d_scores[s] = passed[s] + _mm512_reduce_add_ps(_mm512_add_ps(sum, other));
      mean += weights[s] * d_scores[s];
    }
    for (long s = 0; s < length; s++) d_scores[s] = weights[s] * (d_scores[s] - mean);
    const bf16 *raw = c->state + row * c->state_stride + 3 * size;
    bf16 *d_query = g->state + row * g->state_stride + 3 * size;
    for (long j = 0; j < width; j += 16) {
      vector query = _mm512_add_ps(load_bf16(raw + j), _mm512_loadu_ps(a->bias + j));
      vector score = _mm512_loadu_ps(a->score + j);
      vector total = _mm512_loadu_ps(d_score + j), slopes = all(0);
      for (long s = 0; s < length; s++) {
        vector d = all(d_scores[s]);
        vector e = tangent(_mm512_add_ps(load_bf16(keys + s * width + j), query));
        total = _mm512_fmadd_ps(e, d, total);
        vector slope = _mm512_fnmadd_ps(_mm512_mul_ps(e, e), d, d);
        slopes = _mm512_add_ps(slopes, slope);
        float *key = to + s * width + j;
        _mm512_storeu_ps(key, _mm512_add_ps(_mm512_loadu_ps(key), slope));
      }
      _mm512_storeu_ps(d_score + j, total);
      store_bf16(d_query + j, _mm512_mul_ps(slopes, score));
    }
  }
}

/* ---- Attention weights times rows, a sentence at a time ---- */

typedef struct {
  long sentences, width;
  const int32_t *starts, *lengths; /* source rows */
  const int32_t *steps;            /* target rows of each sentence */
  const int32_t *offsets;          /* target row = offsets[step] + sentence */
  float *weights;                  /* [target rows, stride] */
  long weight_stride;
} Mixing;

/* targets [.., stride] = weights times sources [.., width]. */
void gru_mix(const Mixing *m, const bf16 *sources, bf16 *targets, long stride) {
  for (long b = 0; b < m->sentences; b++) {
    const bf16 *source = sources + m->starts[b] * m->width;
    for (long t = 0; t < m->steps[b]; t++) {
      long row = m->offsets[t] + b;
      const float *weights = m->weights + row * m->weight_stride;
      for (long j = 0; j < m->width; j += 64) {
        vector sums[4] = {all(0), all(0), all(0), all(0)};
        for (long s = 0; s < m->lengths[b]; s++) {
          vector weight = all(weights[s]);
          for (int i = 0; i < 4; i++)
            sums[i] = _mm512_fmadd_ps(load_bf16(source + s * m->width + j + 16 * i), weight, sums[i]);
        }
        for (int i = 0; i < 4; i++) store_bf16(targets + row * stride + j + 16 * i, sums[i]);
      }
    }
  }
}

/* sources [.., width] = weights, transposed, times targets [.., stride]. */
void gru_mix_back(const Mixing *m, const bf16 *targets, long stride, bf16 *sources) {
  for (long b = 0; b < m->sentences; b++) {
    bf16 *source = sources + m->starts[b] * m->width;
    for (long s = 0; s < m->lengths[b]; s++)
      for (long j = 0; j < m->width; j += 64) {
        vector sums[4] = {all(0), all(0), all(0), all(0)};
        for (long t = 0; t < m->steps[b]; t++) {
          long row = m->offsets[t] + b;
          vector weight = all(m->weights[row * m->weight_stride + s]);
          for (int i = 0; i < 4; i++)
            sums[i] = _mm512_fmadd_ps(load_bf16(targets + row * stride + j + 16 * i), weight, sums[i]);
        }
        for (int i = 0; i < 4; i++) store_bf16(source + s * m->width + j + 16 * i, sums[i]);
      }
  }
}

/* m->weights [target rows, stride] = targets times sources, transposed: the weights' gradient. */
void gru_mix_gradient(const Mixing *m, const bf16 *targets, long stride, const bf16 *sources) {
  for (long b = 0; b < m->sentences; b++) {
    const bf16 *source = sources + m->starts[b] * m->width;
    for (long t = 0; t < m->steps[b]; t++) {
      long row = m->offsets[t] + b;
      const bf16 *target = targets + row * stride;
      for (long s = 0; s < m->lengths[b]; s++) {
        vector sum = all(0), other = all(0);
        for (long j = 0; j < m->width; j += 32) {
          sum = _mm512_fmadd_ps(load_bf16(target + j), load_bf16(source + s * m->width + j), sum);
          other = _mm512_fmadd_ps(load_bf16(target + j + 16), load_bf16(source + s * m->width + j + 16),
                                  other);
        }
        m->weights[row * m->weight_stride + s] = _mm512_reduce_add_ps(_mm512_add_ps(sum, other));
      }
    }
  }
}

/* ---- Softmax ---- */

/* So many of sixteen values. */
static inline __mmask16 first(long count) {
  return count >= 16 ? 0xffff : count > 0 ? (1 << count) - 1 : 0;
}

/* Logits [rows, stride], the first `vocabulary` columns real, become gradients of the smoothed mean
 * loss over `count` rows; the rest becomes 0. d_bias [stride] is added to; totals: the loss, and
 * the negative log-likelihood, summed. */
void gru_softmax(bf16 *logits, long rows, long stride, long vocabulary, const float *bias,
                 const int64_t *targets, float smoothing, long count, float *d_bias,
                 double *totals) {
  float values[32768];
  vector each = all(smoothing / vocabulary / count);
  for (long row = 0; row < rows; row++) {
    bf16 *line = logits + row * stride;
    vector highest = all(-INFINITY), sum = all(0), powers = all(0);
    for (long j = 0; j < stride; j += 16) {
      __mmask16 real = first(vocabulary - j);
      vector value = _mm512_maskz_add_ps(real, load_bf16(line + j), _mm512_loadu_ps(bias + j));
      sum = _mm512_add_ps(sum, value);
      value = _mm512_mask_mov_ps(all(-INFINITY), real, value);
      highest = _mm512_max_ps(highest, value);
      _mm512_storeu_ps(values + j, value);
    }
    float top = _mm512_reduce_max_ps(highest), chosen = values[targets[row]];
    for (long j = 0; j < stride; j += 16) {
      vector value = _mm512_max_ps(_mm512_sub_ps(_mm512_loadu_ps(values + j), all(top)), all(-120));
      value = exponential(value);
      powers = _mm512_add_ps(powers, value);
      _mm512_storeu_ps(values + j, value);
    }
    float total = _mm512_reduce_add_ps(powers), normaliser = top + logf(total);
    totals[0] += normaliser - (1 - smoothing) * chosen -
                 smoothing * _mm512_reduce_add_ps(sum) / vocabulary;
    totals[1] += normaliser - chosen;
    vector factor = all(1 / total / count);
    values[targets[row]] -= (1 - smoothing) * total;
    for (long j = 0; j < stride; j += 16) {
      __mmask16 real = first(vocabulary - j);
      vector value = _mm512_maskz_fmsub_ps(real, _mm512_loadu_ps(values + j), factor, each);
      store_bf16(line + j, value);
      _mm512_storeu_ps(d_bias + j, _mm512_add_ps(_mm512_loadu_ps(d_bias + j), value));
    }
  }
}
