// ---- Drawing everything, pointing, and the keyboard. ----

const KIND_TITLES = { cross: "Encoder–decoder attention", encoder: "Encoder self-attention", decoder: "Decoder self-attention" };

/** Says something to those who do not see the page, and shows it for a moment. */
function say(text) {
  $("said").textContent = text;
  clearTimeout(say.timer);
  say.timer = setTimeout(() => { $("said").textContent = ""; }, 4000);
}

// ---- One side: a translation with its lines and its heat map. Two of them stand beside each other to compare. ----

/** What is pointed at or held: { side, axis: "rows" | "columns" | "cell", row, column }. */
let pointed = null;
let held = null;

function makeSide(number) {
  const root = number ? $("side-1") : $("side-0");
  const point = (focus) => pointAt(focus && { side: number, ...focus });
  const hold = (focus) => holdAt(focus && { side: number, ...focus });
  const lines = root.querySelector(".lines");
  const map = heatMap(root.querySelector(".map"), point, hold);
  const meaning = (event) => {
    const token = event.target.closest?.(".token");
    if (!token) return null;
    return token.dataset.axis === "rows" ? { axis: "rows", row: Number(token.dataset.i) } : { axis: "columns", column: Number(token.dataset.i) };
  };
  lines.addEventListener("pointerover", (event) => point(meaning(event)));
  lines.addEventListener("pointerleave", () => point(null));
  lines.addEventListener("focusin", (event) => { if (event.target.matches(":focus-visible")) point(meaning(event)); });
  lines.addEventListener("focusout", () => point(null));
  // Text that was just selected is not a click.
  lines.addEventListener("click", (event) => { if (String(getSelection()) === "") hold(meaning(event)); });
  lines.addEventListener("keydown", moveInLine);
  return { root, lines, map, view: null };
}

const sides = [];
let difference = null;

/** Layer and head of the kind on show, where the view has them. */
function choiceOf(view) {
  const { layer, head } = state.choices[state.kind];
  const { layers, heads } = view.kinds[state.kind];
  return { layer: layer < layers || layer === "mean" ? layer : "mean", head: Math.max(...headsOf(head, heads)) < heads ? head : "mean" };
}

/** Several heads whose mean the command line, the model or an address asks for. */
function severalHeads(heads) {
  const asked = [about.head, about.alignment?.head, state.choices[state.kind].head];
  const named = asked.filter((choice) => String(choice).includes(","));
  return [...new Set(named)].filter((choice) => Math.max(...headsOf(choice, heads)) < heads);
}

function named(name, value) {
  if (value === "mean") return `mean of all ${name}s`;
  if (value === "max") return `strongest ${name}`;
  return String(value).includes(",") ? `mean of ${name}s ${value.replaceAll(",", ", ")}` : `${name} ${value}`;
}

function titleOf(view) {
  const { layer, head } = choiceOf(view);
  const { layers, heads, note } = view.kinds[state.kind];
  const parts = [note ? `${KIND_TITLES[state.kind]} (${note})` : KIND_TITLES[state.kind]];
  if (layers > 1) parts.push(named("layer", layer));
  if (heads > 1) parts.push(named("head", head));
  return parts.join(", ");
}

function notesOf(matrix) {
  const { note } = sentenceAt(state.index).views[state.view].kinds[state.kind] ?? {};
  const notes = [`Per cent of each row’s attention; every row sums to 100${note ? " at most" : ""}.`];
  if (state.mask && state.kind !== "decoder") notes.push(`${about.end} is left out and the rest rescaled.`);
  if (state.input && state.kind !== "encoder") notes.push("Rows belong to the token a step read, not the one it predicted.");
  if (matrix.full < 1) notes.push(`All weights are small: full colour is ${percent(matrix.full)}.`);
  const chosen = matrix.rows.every((_, row) => {
    let seen = 0;
    for (let column = 0; column < matrix.columns.length; column++) seen += matrix.at(row, column) > 0;
    return seen === 1;
  });
  if (chosen && matrix.columns.length > 1) notes.push("Every row chose one column and gave the others nothing.");
  else if (matrix.weights.some((weight) => weight === 0)) notes.push("Empty cells were out of sight: exactly 0.");
  if (state.words && [matrix.rows, matrix.columns].some((axis) => axis.some((entry) => entry.word !== null && entry.members.length > 7))) {
    notes.push("A line without spaces counts as one word: without “Words” its pieces are shown.");
  }
  return notes.join(" ");
}

function drawSide(side, recorded, index) {
  const sentence = sentenceAt(state.index);
  const view = sentence.views[index];
  const shown = Boolean(view?.kinds[state.kind]);
  side.root.hidden = index === null;
  side.view = null;
  side.index = index;
  if (index === null) return;
  side.root.querySelector(".name").textContent = sentence.views.length > 1 ? view.name : "";
  side.root.querySelector(".score").textContent = sentence.views.length > 1 && view.score !== null ? `score ${view.score.toFixed(3)}` : "";
  side.root.querySelector(".why").textContent = shown ? "" : view.missing[state.kind] ?? `There is no ${state.kind} attention in this page.`;
  side.lines.hidden = side.root.querySelector(".maps").hidden = !shown;
  if (!shown) {
    side.key = null;
    side.map.show(null);
    return;
  }
  const matrix = matrixOf(recorded, view, { kind: state.kind, words: state.words, mask: state.mask, input: state.input, ...choiceOf(view) });
  side.view = matrix;
  const [rowName, columnName] = NAMES[state.kind];
  const likelihood = state.kind === "encoder" ? null : (entry) => likelihoodOf(view, entry);
  const key = [state.index, index, state.kind, state.words, state.mask, state.input, state.other !== null, innerWidth].join();
  const same = side.key === key;
  if (!same) {
    fillLine(side.lines.querySelector(".top"), "columns", matrix.columns, columnName, state.words, null);
    fillLine(side.lines.querySelector(".bottom"), "rows", matrix.rows, rowName, state.words, likelihood);
    fitLines(side.lines);
    side.key = key;
  }
  drawCurves(side.lines, matrix);
  side.root.querySelector(".map h2").textContent = titleOf(view);
  side.root.querySelector(".map .note").textContent = notesOf(matrix);
  side.map.show(matrix, same);
}

function drawDifference(recorded) {
  const both = state.other !== null && sides.every((side) => side.view);
  $("difference").hidden = !both;
  if (!both) {
    difference.show(null);
    return;
  }
  const sentence = sentenceAt(state.index);
  const [first, second] = [state.view, state.other].map((index) => matrixOf(recorded, sentence.views[index], {
    kind: state.kind, words: true, mask: state.mask, input: state.input, ...choiceOf(sentence.views[index]),
  }));
  const matrix = differenceOf(first, second);
  $("difference-title").textContent = `${sentence.views[state.view].name} less ${sentence.views[state.other].name}`;
  $("difference-note").textContent = `In percentage points, by words. Blue: ${sentence.views[state.view].name} looked there more; orange: ${sentence.views[state.other].name} did. Words in colour stand in that translation alone.`;
  difference.show(matrix);
}

// ---- The translations of a line: hypotheses of a beam, other models, a reference. ----

function fillViews() {
  const { views } = sentenceAt(state.index);
  $("views-box").hidden = views.length < 2;
  if (views.length < 2) return;
  const target = (view) => {
    const text = element("span", { class: "text", dir: "auto" });
    const [entries] = axesOf(sentenceAt(state.index), view, "cross");
    group(entries.map((entry, i) => ({ ...entry, members: [i] }))).forEach((entry, i) => {
      if (entry.word === null) return;
      const word = element("span", {}, entry.text);
      const likely = likelihoodOf(view, entry);
      if (likely) {
        word.style.setProperty("--doubt", (1 - likely.probability).toFixed(3));
        word.title = percent(likely.probability);
      }
      text.append(i ? " " : "", word);
    });
    return text;
  };
  $("views").replaceChildren(...views.map((view, i) => {
    const pick = element("button", { type: "button", class: "pick", "data-view": i, "aria-pressed": String(i === state.view) }, element("b", {}, view.name),
      element("span", { class: "score" }, view.score === null ? "" : view.score.toFixed(3)));
    const beside = element("button", { type: "button", class: "beside", "data-view": i, "aria-pressed": String(i === state.other), "aria-label": `${view.name} beside` }, "beside");
    beside.hidden = i === state.view;
    return element("li", {}, pick, target(view), beside);
  }));
}

function listenToViews() {
  $("views").addEventListener("click", (event) => {
    const button = event.target.closest("button");
    if (!button) return;
    const number = Number(button.dataset.view);
    if (button.classList.contains("beside")) state.other = state.other === number ? null : number;
    else {
      if (state.other === number) state.other = state.view;
      state.view = number;
    }
    held = null;
    draw();
    $("views").querySelector(`.${button.classList.contains("beside") ? "beside" : "pick"}[data-view="${number}"]`)?.focus();
  });
}

// ---- The pickers. ----

function fillPicker(id, name, values, label = String) {
  const holder = $(id).querySelector(".segments");
  const key = values.join();
  $(id).hidden = values.length < 2;
  if (holder.dataset.values === key) return;
  holder.dataset.values = key;
  holder.replaceChildren(...values.map((value) => {
    const input = element("input", { type: "radio", name, value: String(value), "aria-label": `${name} ${label(value)}` });
    return element("label", {}, input, element("span", { "aria-hidden": "true" }, label(value)));
  }));
}

function showChoices(view) {
  const { views } = sentenceAt(state.index);
  const offered = KINDS.filter((kind) => views.some((own) => own.kinds[kind] || own.missing[kind]));
  fillPicker("kinds", "kind", offered);
  const { layers = 1, heads = 1 } = view.kinds[state.kind] ?? {};
  fillPicker("layers", "layer", layers > 1 ? ["mean", ...upTo(layers)] : [0]);
  fillPicker("heads", "head", heads > 1 ? ["mean", "max", ...severalHeads(heads), ...upTo(heads)] : [0]);
  const choice = view.kinds[state.kind] ? choiceOf(view) : state.choices[state.kind];
  for (const [name, value] of [["kind", state.kind], ["layer", choice.layer], ["head", choice.head]]) {
    for (const input of document.querySelectorAll(`input[name="${name}"]`)) input.checked = input.value === String(value);
  }
  for (const name of ["words", "mask", "input"]) $(name).checked = state[name];
  $("mask-label").hidden = state.kind === "decoder" || sentenceAt(state.index).axes[view.source].end === null;
  $("input-label").hidden = state.kind === "encoder";
}

function listenToPickers() {
  $("controls").addEventListener("submit", (event) => event.preventDefault());
  $("controls").addEventListener("change", (event) => {
    const { name, id, value, checked } = event.target;
    const read = /^\d+$/.test(value) ? Number(value) : value;
    if (name === "kind") state.kind = value;
    else if (name === "layer" || name === "head") state.choices[state.kind] = { ...choiceOf(sentenceAt(state.index).views[state.view]), [name]: read };
    else state[id] = checked;
    if (name !== "layer" && name !== "head") held = null;
    draw();
  });
  const zoom = (step) => {
    if (step === "fit") {
      const { map } = sides[0];
      if (map.view) state.zoom = Math.log(map.fit() / map.automatic) / Math.log(1.3);
    } else state.zoom = step === 0 ? 0 : clamp(state.zoom + step, -8, 8);
    for (const map of [...sides.map((side) => side.map), difference]) if (map.view) map.layOut();
    remember();
  };
  for (const [id, step] of [["zoom-out", -1], ["zoom-in", 1], ["zoom-fit", "fit"], ["zoom-reset", 0]]) $(id).addEventListener("click", () => zoom(step));
  return zoom;
}

// ---- Pointing: light what belongs together. ----

/** The same place in the other side: words by their place in the source, or by their text in the translation. */
function across(focus, from, to) {
  if (!from || !to) return null;
  const match = (axis, position) => {
    const entry = from[axis][position];
    if (state.kind === "cross" && axis === "columns") return to[axis].findIndex((other) => other.word === entry.word && other.text === entry.text);
    const pair = common(from[axis].map((own) => own.text), to[axis].map((own) => own.text)).find(([a]) => a === position);
    return pair ? pair[1] : -1;
  };
  const moved = { axis: focus.axis };
  for (const [axis, name] of [["rows", "row"], ["columns", "column"]]) {
    if (focus[name] === undefined) continue;
    moved[name] = match(axis, focus[name]);
    if (moved[name] < 0) return null;
  }
  return moved;
}

function light() {
  const focus = held || pointed;
  sides.forEach((side, number) => {
    if (!side.view) return;
    const own = !focus ? null : focus.side === number ? focus : focus.side < 2 ? across(focus, sides[focus.side].view, side.view) : null;
    lightLines(side.lines, side.view, own, held);
    side.map.light(own);
  });
  if (difference.view) difference.light(focus?.side === 2 ? focus : null);
  readOut(focus);
}

function readOut(focus) {
  const readout = $("readout");
  const likely = $("likely");
  likely.replaceChildren();
  if (!focus) {
    readout.textContent = "Point at a word to see what it looked at, or what looked at it.";
    return;
  }
  const matrix = focus.side === 2 ? difference.view : sides[focus.side].view;
  const bold = (entry) => element("bdi", {}, element("b", {}, labelOf(entry)));
  if (focus.axis === "cell") {
    const weight = matrix.at(focus.row, focus.column);
    const said = matrix.signed ? `: ${weight > 0 ? "+" : "−"}${Math.abs(weight * 100).toFixed(1)} percentage points` : ` with ${percent(weight)}`;
    readout.replaceChildren(bold(matrix.rows[focus.row]), " looked at ", bold(matrix.columns[focus.column]), said);
  } else {
    const ofRow = focus.axis === "rows";
    const weights = ofRow ? matrix.columns.map((_, c) => matrix.at(focus.row, c)) : matrix.rows.map((_, r) => matrix.at(r, focus.column));
    const others = ofRow ? matrix.columns : matrix.rows;
    const parts = strongest(weights).slice(0, 4).filter((i, place) => !place || weights[i] >= 0.02)
      .map((i) => element("span", {}, bold(others[i]), ` ${percent(weights[i])}`));
    readout.replaceChildren(bold((ofRow ? matrix.rows : matrix.columns)[ofRow ? focus.row : focus.column]), ofRow ? " looked at" : " was looked at by", ...parts);
  }
  if (focus.row === undefined || state.kind === "encoder" || focus.side === 2) return;
  const own = sentenceAt(state.index).views[sides[focus.side].index];
  const known = likelihoodOf(own, matrix.rows[focus.row]);
  if (!known) return;
  const others = known.alternatives.slice(0, 5).map(([text, probability]) => element("span", {}, element("bdi", {}, text.trim() || "␣"), ` ${percent(probability)}`));
  likely.append(bold(matrix.rows[focus.row]), ` was said with ${percent(known.probability)}; likeliest ${matrix.rows[focus.row].members.length > 1 ? "first pieces" : "here"}:`, ...others);
}

function pointAt(focus) {
  if (JSON.stringify(focus) === JSON.stringify(pointed)) return;
  pointed = focus;
  if (!held) light();
}

function holdAt(focus) {
  if (!focus) return;
  held = JSON.stringify(held) === JSON.stringify(focus) ? null : focus;
  light();
}

function letGo() {
  held = pointed = null;
  light();
}

// ---- Drawing everything. ----

let turn = 0;
let drawnHeads = "";
/** The matrices of the sentence and kind on show. */
let current = null;

async function draw() {
  const own = ++turn;
  const { views } = sentenceAt(state.index);
  if (!views[state.view]) state.view = 0;
  if (!views[state.other] || state.other === state.view) state.other = null;
  const view = views[state.view];
  if (!view.kinds[state.kind] && !view.missing[state.kind]) state.kind = KINDS.find((kind) => view.kinds[kind]);
  const recorded = unpackedOf(state.index, state.kind) ?? await unpack(state.index, state.kind);
  // Somebody may have gone on meanwhile.
  if (own !== turn) return;
  current = recorded;
  showChoices(view);
  fillViews();
  $("sides").classList.toggle("two", state.other !== null);
  drawSide(sides[0], recorded, state.view);
  drawSide(sides[1], recorded, state.other);
  drawDifference(recorded);
  pointed = null;
  if (held && (!sides[held.side]?.view || !(held.row === undefined || held.row < sides[held.side].view.rows.length) || !(held.column === undefined || held.column < sides[held.side].view.columns.length))) held = null;
  light();
  const heads = JSON.stringify([state.index, state.view, state.kind, state.mask, state.input, state.other]);
  if (!sides[0].view) $("all").hidden = true;
  else if (heads !== drawnHeads) fillHeads(recorded);
  else if (!$("all").hidden) markHead();
  drawnHeads = heads;
  drawTables();
  remember();
  document.documentElement.dataset.drawn = `${own}`;
  performance.mark("drawn");
}

function drawTables() {
  const { view } = sides[0];
  $("tables").hidden = !view;
  if (!view) return;
  fillLinks(view);
  fillNumbers(view);
  fillPath(current, view);
}

function choose(index) {
  state.index = index;
  held = pointed = null;
  tableFrom = 0;
  revealSelected();
  drawList();
  sayCount();
  draw();
  // The neighbour and the other kinds are likely next.
  setTimeout(() => {
    if (state.index !== index) return;
    for (const kind of KINDS) if (kind !== state.kind && packed.has(`${scripts[index].dataset.line} ${kind}`)) unpack(index, kind);
    if (index + 1 < count) unpack(index + 1, state.kind);
  }, 400);
}

/** The address carries the choices, so that it can be kept and sent. */
function remember() {
  clearTimeout(remember.timer);
  // Browsers make this slow, so that pages do not overdo it.
  remember.timer = setTimeout(writeAddress, 120);
}

function writeAddress() {
  const { layer, head } = state.choices[state.kind];
  const parts = new URLSearchParams({ line: scripts[state.index].dataset.line, kind: state.kind, layer, head });
  if (state.view) parts.set("view", state.view);
  if (state.other !== null) parts.set("beside", state.other);
  if (state.zoom) parts.set("zoom", state.zoom.toFixed(2));
  for (const name of ["words", "mask", "input"]) if (state[name]) parts.set(name, "1");
  try {
    history.replaceState(null, "", `#${parts}`);
  } catch {
    // A page within a notebook has no address of its own.
  }
}

function recall(hash = location.hash) {
  const parts = new URLSearchParams(hash.slice(1));
  if (!parts.has("line")) return;
  const index = [...scripts].findIndex((script) => script.dataset.line === parts.get("line"));
  if (index >= 0) state.index = index;
  const { views } = sentenceAt(state.index);
  const number = (name) => (/^\d+$/.test(parts.get(name) ?? "") ? Number(parts.get(name)) : null);
  state.view = views[number("view")] ? number("view") : 0;
  state.other = views[number("beside")] ? number("beside") : null;
  if (KINDS.includes(parts.get("kind"))) state.kind = parts.get("kind");
  const kind = views[state.view].kinds[state.kind];
  for (const [name, words] of [["layer", ["mean"]], ["head", ["mean", "max"]]]) {
    if (words.includes(parts.get(name))) state.choices[state.kind][name] = parts.get(name);
    else if (number(name) !== null && number(name) < (kind?.[`${name}s`] ?? 0)) state.choices[state.kind][name] = number(name);
  }
  const several = parts.get("head") ?? "";
  if (/^\d+(,\d+)+$/.test(several) && Math.max(...headsOf(several)) < (kind?.heads ?? 0)) state.choices[state.kind].head = several;
  state.zoom = clamp(Number(parts.get("zoom")) || 0, -8, 8);
  for (const name of ["words", "mask", "input"]) state[name] = parts.has(name);
}

// ---- Keyboard. ----

/** The next value of a choice, by a key. */
function step(name, way) {
  const inputs = [...document.querySelectorAll(`input[name="${name}"]`)];
  const at = inputs.findIndex((input) => input.checked);
  const next = inputs[(at + way + inputs.length) % inputs.length];
  if (inputs.length > 1) {
    next.checked = true;
    next.dispatchEvent(new Event("change", { bubbles: true }));
  }
}

/** Holds the next word of the translation. */
function stepWord(way) {
  const { view } = sides[0];
  if (!view) return;
  const turned = sides[0].lines.querySelector(".bottom").dir === "rtl" ? -1 : 1;
  const last = view.rows.length - 1;
  const at = held?.side === 0 && held.axis === "rows" ? clamp(held.row + way * turned, 0, last) : 0;
  held = { side: 0, axis: "rows", row: at };
  light();
}

function listenToKeys(zoom) {
  const toggle = (id) => { if (!$(id).closest("label").hidden) $(id).click(); };
  const letters = {
    w: () => toggle("words"), e: () => toggle("mask"), i: () => toggle("input"), k: () => step("kind", 1),
    l: () => step("layer", 1), L: () => step("layer", -1), h: () => step("head", 1), H: () => step("head", -1),
    "+": () => zoom(1), "-": () => zoom(-1), f: () => zoom("fit"), 0: () => zoom(0),
    c: () => {
      const { views } = sentenceAt(state.index);
      if (views.length < 2) return;
      const others = upTo(views.length).filter((i) => i !== state.view);
      const next = others.indexOf(state.other) + 1;
      state.other = next < others.length ? others[next] : null;
      draw();
    },
  };
  const arrows = {
    ArrowDown: () => move(1), ArrowUp: () => move(-1), ArrowRight: () => stepWord(1), ArrowLeft: () => stepWord(-1),
    PageDown: () => move(10), PageUp: () => move(-10), Home: () => move(-Infinity), End: () => move(Infinity),
  };
  document.addEventListener("keydown", (event) => {
    const { key } = event;
    const target = event.target instanceof Element ? event.target : document.body;
    if (event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented || $("help").open) return;
    if (key === "Escape") {
      if ($("app").classList.contains("choosing")) $("choose").click();
      $("export").open = false;
      if (target.matches("input[type=search]")) target.blur();
      letGo();
      return;
    }
    if (target.matches("input[type=search], input[type=text]")) return;
    if (key === "/") {
      event.preventDefault();
      if (getComputedStyle($("choose")).display !== "none" && !$("app").classList.contains("choosing")) $("choose").click();
      $("filter").focus();
    } else if (key === "?") {
      event.preventDefault();
      $("help").showModal();
    } else if (arrows[key]) {
      // Radio buttons and lines of words have arrows of their own; paging belongs to the list.
      if (target.matches("input[type=radio], .token")) return;
      if (!key.startsWith("Arrow") && target !== list) return;
      if (target.matches("#numbers-scroller") && (key === "ArrowLeft" || key === "ArrowRight")) return;
      event.preventDefault();
      arrows[key]();
    } else if (letters[key] && $("letters").checked) {
      event.preventDefault();
      letters[key]();
    }
  });
  $("help-open").addEventListener("click", () => $("help").showModal());
  $("help-close").addEventListener("click", () => $("help").close());
}

// ---- Beginning. ----

function redrawAll() {
  palette = null;
  for (const side of sides) side.key = null;
  drawnHeads = "";
  draw();
}

function listenToWindow() {
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", redrawAll);
  let last = innerWidth;
  addEventListener("resize", () => {
    drawList();
    if (innerWidth !== last && !printing) draw();
    last = innerWidth;
  });
  addEventListener("hashchange", (event) => {
    // What was on show until now may have written its own address meanwhile.
    clearTimeout(remember.timer);
    recall(new URL(event.newURL).hash);
    choose(state.index);
  });
  // A printer has white paper and no scroll bars.
  let printing = false;
  addEventListener("beforeprint", () => {
    printing = true;
    document.documentElement.classList.add("printing");
    palette = null;
    for (const side of sides) {
      if (!side.view) continue;
      fitLines(side.lines);
      drawCurves(side.lines, side.view);
    }
    letGo();
    for (const map of [...sides.map((side) => side.map), difference]) {
      if (!map.view) continue;
      map.forget();
      const columns = map.view.columns.length;
      map.layOut(clamp((map !== difference && state.other !== null ? 230 : 540) / columns, 1.5, 30));
    }
    drawTables();
  });
  addEventListener("afterprint", () => {
    printing = false;
    document.documentElement.classList.remove("printing");
    redrawAll();
  });
}

function begin() {
  for (const place of document.querySelectorAll(".end")) place.textContent = about.end;
  $("app").classList.toggle("single", count < 2);
  if (!count) {
    document.querySelector("main").replaceChildren(element("p", {}, "There are no sentences."));
    return;
  }
  if (!("DecompressionStream" in window)) {
    document.querySelector("main").replaceChildren(element("p", {}, "This browser is too old to unpack the numbers in this page (it has no DecompressionStream). Any browser of 2023 or later has it."));
    return;
  }
  const [first] = sentenceAt(0).views;
  state.kind = KINDS.find((kind) => first.kinds[kind]);
  const layers = first.kinds[state.kind].layers;
  state.choices[state.kind] = { layer: about.layer === "last" ? layers - 1 : about.layer, head: about.head };
  const second = document.querySelector("#side-0").cloneNode(true);
  second.id = "side-1";
  $("side-0").after(second);
  $("side-0").querySelector(".maps").append($("all"));
  sides.push(makeSide(0), makeSide(1));
  difference = heatMap($("difference"), (focus) => pointAt(focus && { side: 2, ...focus }), (focus) => holdAt(focus && { side: 2, ...focus }));
  recall();
  listenToList();
  listenToViews();
  listenToHeads();
  listenToTables(drawTables);
  listenToKeys(listenToPickers());
  listenToExport(() => ({ map: sides[0].map, view: sides[0].view, title: $("side-0").querySelector(".map h2").textContent }));
  listenToWindow();
  choose(state.index);
}

begin();
