// ---- Every head, small, with what can be said of it in two numbers. ----

/** A picture of a matrix of at most `most` pixels a side: each pixel the largest weight of the cells it stands for. */
function thumbnail(canvas, matrix, most) {
  const { rows: { length: rows }, columns: { length: columns }, weights } = matrix;
  const [height, width] = [Math.min(rows, most), Math.min(columns, most)];
  const largest = new Float32Array(width * height);
  for (let row = 0, i = 0; row < rows; row++) {
    const base = Math.floor(row * height / rows) * width;
    for (let column = 0; column < columns; column++, i++) {
      const at = base + Math.floor(column * width / columns);
      if (weights[i] > largest[at]) largest[at] = weights[i];
    }
  }
  const { ground, accent } = colours();
  canvas.width = width;
  canvas.height = height;
  const pen = canvas.getContext("2d");
  const image = pen.createImageData(width, height);
  const turned = isRightToLeft(matrix.columns.map((entry) => (entry.word === null ? "" : entry.text)).join(""));
  for (let row = 0, i = 0; row < height; row++) {
    for (let column = 0; column < width; column++, i++) {
      const amount = opacity(largest[i] / matrix.full);
      const at = 4 * (row * width + (turned ? width - 1 - column : column));
      for (let c = 0; c < 3; c++) image.data[at + c] = ground[c] + (accent[c] - ground[c]) * amount;
      image.data[at + 3] = 255;
    }
  }
  pen.putImageData(image, 0, 0);
}

/** The layer and head that the heads' words are compared with: the model's own choice, or the mean of all. */
function alignmentChoice(kind) {
  if (kind !== "cross" || !about.alignment || kind.layers <= about.alignment.layer) return { layer: "mean", head: "mean" };
  return about.alignment;
}

/** Work on the thumbnails that is still to be done; a new sentence throws it away. */
let pending = 0;

function fillHeads(recorded) {
  const view = sentenceAt(state.index).views[state.view];
  const { layers, heads } = view.kinds[state.kind];
  $("all").hidden = layers * heads < 2 || state.other !== null;
  pending++;
  if ($("all").hidden) return;
  const side = heads > 8 ? 44 : heads > 4 ? 58 : 76;
  const holder = $("multiples");
  holder.style.gridTemplateColumns = `max-content repeat(${heads}, max-content)`;
  const [rows, columns] = axesOf(sentenceAt(state.index), view, state.kind).map((axis) => axis.length);
  const longest = Math.max(rows, columns);
  const made = [element("span")];
  for (const head of upTo(heads)) made.push(element("span", { class: "edge" }, heads > 1 ? `head ${head}` : ""));
  const work = [];
  for (const layer of upTo(layers)) {
    made.push(element("span", { class: "edge row" }, `layer ${layer}`));
    for (const head of upTo(heads)) {
      const canvas = element("canvas", { width: 1, height: 1, "aria-hidden": "true" });
      canvas.style.width = `${Math.max(10, Math.round(side * columns / longest))}px`;
      canvas.style.height = `${Math.max(10, Math.round(side * rows / longest))}px`;
      const name = `Layer ${layer}, head ${head}`;
      const numbers = element("span", { class: "numbers" });
      const button = element("button", { type: "button", "data-layer": layer, "data-head": head, "aria-label": name, title: name }, canvas, numbers);
      made.push(button);
      work.push({ layer, head, canvas, numbers, button });
    }
  }
  holder.replaceChildren(...made);
  const base = { kind: state.kind, words: true, mask: state.mask, input: state.input };
  const alignment = state.kind === "cross" ? choicesOf(matrixOf(recorded, view, { ...base, ...alignmentChoice("cross") })) : null;
  $("all-note").textContent = alignment
    ? `E: entropy of a word’s row, 0 sharp, 1 even. A: share of words whose strongest source word is that of ${about.alignment ? `layer ${about.alignment.layer}, ${named("head", about.alignment.head)}, which the model names for alignment` : "the mean of all heads"}.`
    : "E: entropy of a word’s row, 0 sharp, 1 even.";
  const turn = pending;
  const index = state.index;
  const most = side * Math.ceil(window.devicePixelRatio || 1);
  const go = () => {
    const start = performance.now();
    while (work.length && performance.now() - start < 12) {
      const { layer, head, canvas, numbers, button } = work.shift();
      const matrix = matrixOf(recorded, view, { ...base, layer, head });
      thumbnail(canvas, longest > most ? matrix : matrixOf(recorded, view, { ...base, words: false, layer, head }), most);
      const entropy = entropyOf(matrix);
      const agreement = alignment && agreementOf(matrix, alignment);
      numbers.textContent = alignment ? `E ${entropy.toFixed(2)} A ${Math.round(agreement * 100)}` : `E ${entropy.toFixed(2)}`;
      button.dataset.entropy = entropy.toFixed(4);
      if (alignment) button.dataset.agreement = agreement.toFixed(4);
      const said = `Layer ${layer}, head ${head}, ${numbers.textContent} (entropy${alignment ? ", agreement with the alignment in per cent" : ""})`;
      button.setAttribute("aria-label", said);
      button.title = said;
    }
    if (work.length) setTimeout(() => { if (turn === pending) go(); }, 0);
    else holder.dataset.ready = String(index);
  };
  markHead();
  // The large picture comes first.
  delete holder.dataset.ready;
  setTimeout(() => { if (turn === pending) go(); }, 0);
}

function markHead() {
  const { layer, head } = state.choices[state.kind];
  const { layers, heads } = sentenceAt(state.index).views[state.view].kinds[state.kind];
  for (const button of $("multiples").querySelectorAll("button")) {
    const ofLayer = layer === Number(button.dataset.layer) || (layer === "mean" && layers === 1);
    const ofHead = String(head).split(",").includes(button.dataset.head) || (typeof head === "string" && heads === 1);
    button.setAttribute("aria-pressed", String(ofLayer && ofHead));
  }
}

function listenToHeads() {
  $("multiples").addEventListener("click", (event) => {
    const button = event.target.closest("button");
    if (!button) return;
    state.choices[state.kind] = { layer: Number(button.dataset.layer), head: Number(button.dataset.head) };
    draw();
  });
}
