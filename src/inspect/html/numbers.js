// ---- The arithmetic of `attn-dump`: layers and heads, the reading of the rows, the sentence end, words. ----

/** A weight for each byte: 0 is exactly 0, and 1 almost. */
const WEIGHTS = Float32Array.from({ length: 256 }, (_, byte) => (byte > 1 ? ((byte - 1) / 254) ** 2 : byte * 1e-7));

/** Unpacked matrices of lines, the last used last: { index, kind, bytes, scales }. */
let unpacked = [];

const unpackedOf = (index, kind) => unpacked.find((own) => own.index === index && own.kind === kind);

/** Unpacks the matrices of a line and kind. */
async function unpack(index, kind) {
  const known = unpackedOf(index, kind);
  if (known) return known;
  const text = packed.get(`${scripts[index].dataset.line} ${kind}`)?.textContent;
  // None of the line's models has this kind.
  if (!text) return { index, kind, bytes: new Uint8Array(), scales: new Map() };
  const deflated = Uint8Array.fromBase64 ? Uint8Array.fromBase64(text) : Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
  const stream = new Blob([deflated]).stream().pipeThrough(new DecompressionStream("deflate-raw"));
  const bytes = new Uint8Array(await new Response(stream).arrayBuffer());
  const made = unpackedOf(index, kind) ?? { index, kind, bytes, scales: new Map() };
  unpacked = [...unpacked.filter((own) => own !== made).slice(-7), made];
  return made;
}

/** The pieces along rows and columns of a kind: lists of entries. */
function axesOf(sentence, view, kind) {
  const side = (axis) => axis.labels.map((label, i) => ({
    label, text: axis.texts[i] ?? label.replaceAll("▁", " "), word: axis.words[i], end: i === axis.end, axis,
  }));
  const source = side(sentence.axes[view.source]);
  const target = side(sentence.axes[view.target]);
  if (kind === "encoder") return [source, source];
  if (kind === "cross") return [target, source];
  // What the decoder has read: the token it begins with, then all but the last.
  const start = { label: view.start, text: view.start, word: null, end: false, axis: sentence.axes[view.target] };
  return [target, [start, ...target.slice(0, -1).map((entry) => ({ ...entry, end: false }))]];
}

/** What every row of every matrix is multiplied by to sum to 1. */
function scalesOf({ bytes, scales: known }, at, rows, columns, matrices) {
  if (!known.has(at)) {
    const scales = new Float32Array(matrices * rows);
    for (let row = 0, from = at; row < scales.length; row++, from += columns) {
      let sum = 0;
      for (let i = from; i < from + columns; i++) sum += WEIGHTS[bytes[i]];
      scales[row] = sum > 0 ? 1 / sum : 0;
    }
    known.set(at, scales);
  }
  return known.get(at);
}

function normaliseRows(weights, width) {
  for (let start = 0; start < weights.length; start += width) {
    let sum = 0;
    for (let i = start; i < start + width; i++) sum += weights[i];
    for (let i = start; i < start + width; i++) weights[i] = sum > 0 ? weights[i] / sum : 1 / width;
  }
}

/** The heads that a choice names ("0,2": several, whose mean is taken); all, if it names none. */
function headsOf(choice, heads) {
  return /^\d/.test(choice) ? String(choice).split(",").map(Number) : upTo(heads);
}

/** The weights [rows, columns] of a layer and head (numbers, "mean", "max" or several heads) over all pieces. */
function reduce(recorded, { layers, heads, at }, rows, columns, layer, head) {
  const size = rows * columns;
  const { bytes } = recorded;
  const scales = scalesOf(recorded, at, rows, columns, layers * heads);
  const made = new Float32Array(size);
  const ofLayer = (l, into, share) => {
    const chosen = headsOf(head, heads);
    for (const h of chosen) {
      const matrix = l * heads + h;
      let from = at + matrix * size;
      for (let row = 0, i = 0; row < rows; row++) {
        const scale = scales[matrix * rows + row];
        if (head === "max") for (let column = 0; column < columns; column++, i++, from++) into[i] = Math.max(into[i], WEIGHTS[bytes[from]] * scale);
        else for (let column = 0, factor = scale * share / chosen.length; column < columns; column++, i++, from++) into[i] += WEIGHTS[bytes[from]] * factor;
      }
    }
    if (head === "max") normaliseRows(into, columns);
  };
  if (typeof layer === "number") {
    ofLayer(layer, made, 1);
    return made;
  }
  for (let l = 0; l < layers; l++) {
    if (head !== "max") ofLayer(l, made, 1 / layers);
    else {
      const one = new Float32Array(size);
      ofLayer(l, one, 1);
      for (let i = 0; i < size; i++) made[i] += one[i] / layers;
    }
  }
  return made;
}

/** The weight that gets the full colour: 1, or the largest where all are so small that nothing would be seen. */
function fullOf(weights) {
  let largest = 0;
  for (let i = 0; i < weights.length; i++) largest = Math.max(largest, Math.abs(weights[i]));
  return largest > 0 && largest < 0.6 ? largest : 1;
}

/** Runs of pieces that belong to one word become one entry. */
function group(list) {
  const groups = [];
  list.forEach((entry, i) => {
    const last = groups[groups.length - 1];
    if (last && entry.word !== null && last.word === entry.word) last.members.push(i);
    else groups.push({ ...entry, text: entry.word === null ? entry.text : entry.axis.names[entry.word], members: [i] });
  });
  return groups;
}

/**
 * The matrix to show, with its labels: { rows, columns, weights, at(row, column) }; at() is [rows, columns], each row sums to 1.
 * `options`: kind, layer, head, words, mask, input.
 */
function matrixOf(recorded, view, options) {
  const { kind, layer, head } = options;
  let [rows, columns] = axesOf(sentenceAt(recorded.index), view, kind);
  let weights = reduce(recorded, view.kinds[kind], rows.length, columns.length, layer, head);
  rows = rows.map((entry, i) => ({ ...entry, members: [i] }));
  columns = columns.map((entry, i) => ({ ...entry, members: [i] }));
  if (options.input && kind !== "encoder") {
    weights = weights.slice(columns.length);
    rows = rows.slice(0, -1);
  }
  const end = columns.findIndex((entry) => entry.end);
  if (options.mask && end >= 0 && kind !== "decoder") {
    const width = columns.length;
    weights = weights.filter((_, i) => i % width !== end);
    columns = columns.filter((_, i) => i !== end);
    normaliseRows(weights, columns.length);
  }
  if (options.words) {
    const width = columns.length;
    const ofColumn = new Int32Array(width);
    const [rowGroups, columnGroups] = [group(rows), group(columns)];
    columnGroups.forEach((own, c) => own.members.forEach((i) => { ofColumn[i] = c; }));
    const merged = new Float32Array(rowGroups.length * columnGroups.length);
    rowGroups.forEach((own, r) => {
      const base = r * columnGroups.length;
      for (const row of own.members) {
        for (let i = 0, from = row * width; i < width; i++, from++) merged[base + ofColumn[i]] += weights[from] / own.members.length;
      }
    });
    [rows, columns, weights] = [rowGroups, columnGroups, merged];
  }
  const width = columns.length;
  return { rows, columns, weights, width, full: fullOf(weights), at: (row, column) => weights[row * width + column] };
}

/** Pairs of positions of equal texts in both lists, in order: the longest common subsequence. */
function common(first, second) {
  const [n, m] = [first.length, second.length];
  const lengths = new Uint16Array((n + 1) * (m + 1));
  for (let i = n - 1; i >= 0; i--) {
    for (let j = m - 1; j >= 0; j--) {
      lengths[i * (m + 1) + j] = first[i] === second[j] ? 1 + lengths[(i + 1) * (m + 1) + j + 1]
        : Math.max(lengths[(i + 1) * (m + 1) + j], lengths[i * (m + 1) + j + 1]);
    }
  }
  const pairs = [];
  for (let i = 0, j = 0; i < n && j < m;) {
    if (first[i] === second[j]) pairs.push([i++, j++]);
    else if (lengths[(i + 1) * (m + 1) + j] >= lengths[i * (m + 1) + j + 1]) i++;
    else j++;
  }
  return pairs;
}

/** The first matrix less the second, by words: rows that both have, and those that one has alone (`only` says which). */
function differenceOf(first, second) {
  const rowPairs = common(first.rows.map((entry) => entry.text), second.rows.map((entry) => entry.text));
  const columnPairs = common(first.columns.map((entry) => entry.text), second.columns.map((entry) => entry.text));
  const columns = columnPairs.map(([a]) => first.columns[a]);
  const rows = [];
  const values = [];
  const add = (entry, a, b, only) => {
    rows.push({ ...entry, only });
    for (const [i, j] of columnPairs) values.push((a === null ? 0 : first.at(a, i)) - (b === null ? 0 : second.at(b, j)));
  };
  let [a, b] = [0, 0];
  for (const [i, j] of [...rowPairs, [first.rows.length, second.rows.length]]) {
    for (; a < i; a++) add(first.rows[a], a, null, 1);
    for (; b < j; b++) add(second.rows[b], null, b, 2);
    if (i < first.rows.length) add(first.rows[i], i, j, 0);
    [a, b] = [i + 1, j + 1];
  }
  const width = columns.length;
  return { rows, columns, weights: Float32Array.from(values), width, signed: true, full: fullOf(values), at: (row, column) => values[row * width + column] };
}

// ---- What is said of a matrix. ----

/** The mean entropy of a word's row over that of an even one: 0 is all weight on one column, 1 the same on all. */
function entropyOf({ rows, columns, at }) {
  if (columns.length < 2) return 0;
  let [sum, counted] = [0, 0];
  rows.forEach((entry, row) => {
    if (entry.word === null) return;
    for (let column = 0; column < columns.length; column++) {
      const weight = at(row, column);
      if (weight > 0) sum -= weight * Math.log(weight);
    }
    counted++;
  });
  return counted ? sum / Math.log(columns.length) / counted : 0;
}

/** For each row the column it looked at most. */
const choicesOf = ({ rows, columns, at }) => rows.map((_, row) => {
  let best = 0;
  for (let column = 1; column < columns.length; column++) if (at(row, column) > at(row, best)) best = column;
  return best;
});

/** The share of words whose strongest column is that of the alignment. */
function agreementOf(matrix, alignment) {
  const choices = choicesOf(matrix);
  const words = upTo(choices.length).filter((row) => matrix.rows[row].word !== null);
  return words.length ? words.filter((row) => choices[row] === alignment[row]).length / words.length : 0;
}

/** The probability of an entry of the target and what else was likely at its first piece: { probability, alternatives } or null. */
function likelihoodOf(view, entry) {
  const tokens = entry.members.map((i) => view.tokens[i]).filter(Boolean);
  if (!tokens.length || tokens.every(([probability]) => probability < 0)) return null;
  const probability = tokens.reduce((product, [own]) => product * (own < 0 ? 1 : own), 1);
  return { probability, alternatives: tokens[0][1] };
}
