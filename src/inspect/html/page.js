"use strict";
(() => {
  const $ = (id) => document.getElementById(id);
  const element = (name, attributes = {}, ...children) => {
    const made = document.createElement(name);
    for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
    made.append(...children);
    return made;
  };
  const about = JSON.parse($("about").textContent);
  const sentences = [...document.querySelectorAll("script.sentence")].map((script) => JSON.parse(script.textContent));
  const packed = document.querySelectorAll("script.weights");
  const state = {
    index: 0, layer: about.layer, head: about.head, words: about.words, mask: about.mask, input: about.input,
  };
  /** What is pointed at or held: { axis: "rows" | "columns" | "cell", row, column }. */
  let pointed = null;
  let held = null;
  let view = null;

  // ---- The arithmetic of `attn-dump`: layers and heads, the reading of the rows, the sentence end, words. ----

  /** The recorded weights of a sentence, [layers, heads, rows, columns]; every row sums to 1. */
  let unpacked = { index: -1, weights: null };
  function weightsOf(index) {
    if (unpacked.index === index) return unpacked.weights;
    const bytes = atob(packed[index].textContent);
    const weights = new Float32Array(bytes.length);
    for (let i = 0; i < bytes.length; i++) weights[i] = (bytes.charCodeAt(i) / 255) ** 2;
    normaliseRows(weights, sentences[index].columns.labels.length);
    unpacked = { index, weights };
    return weights;
  }

  function normaliseRows(weights, width) {
    for (let start = 0; start < weights.length; start += width) {
      let sum = 0;
      for (let i = start; i < start + width; i++) sum += weights[i];
      for (let i = start; i < start + width; i++) weights[i] = sum > 0 ? weights[i] / sum : 1 / width;
    }
  }

  function matrixOf(index, layer, head) {
    const { layers, heads, rows, columns } = sentences[index];
    const size = rows.labels.length * columns.labels.length;
    const all = weightsOf(index);
    const one = (l, h) => all.subarray((l * heads + h) * size, (l * heads + h + 1) * size);
    const ofLayer = (l) => {
      if (typeof head === "number") return one(l, head);
      const made = new Float32Array(size);
      for (let h = 0; h < heads; h++) {
        const from = one(l, h);
        for (let i = 0; i < size; i++) made[i] = head === "max" ? Math.max(made[i], from[i]) : made[i] + from[i] / heads;
      }
      if (head === "max") normaliseRows(made, columns.labels.length);
      return made;
    };
    if (typeof layer === "number") return ofLayer(layer);
    const made = new Float32Array(size);
    for (let l = 0; l < layers; l++) ofLayer(l).forEach((weight, i) => { made[i] += weight / layers; });
    return made;
  }

  const entries = (axis) => axis.labels.map((label, i) => ({ label, word: axis.words[i], end: i === axis.end }));

  function group(list, names) {
    const groups = [];
    list.forEach((entry, i) => {
      const last = groups[groups.length - 1];
      if (last && entry.word !== null && last.word === entry.word) last.members.push(i);
      else groups.push({ ...entry, label: entry.word === null ? entry.label : names[entry.word], members: [i] });
    });
    return groups;
  }

  /** The matrix to show, with its labels: { rows, columns, at(row, column) }. */
  function build() {
    const sentence = sentences[state.index];
    let weights = matrixOf(state.index, state.layer, state.head);
    let rows = entries(sentence.rows);
    let columns = entries(sentence.columns);
    if (state.input && about.kind !== "encoder") {
      weights = weights.slice(columns.length);
      rows = rows.slice(0, -1);
    }
    if (state.mask && sentence.columns.end !== null) {
      const width = columns.length;
      weights = weights.filter((_, i) => i % width !== sentence.columns.end);
      columns = columns.filter((_, i) => i !== sentence.columns.end);
      normaliseRows(weights, columns.length);
    }
    if (state.words) {
      const width = columns.length;
      rows = group(rows, sentence.rows.names);
      columns = group(columns, sentence.columns.names);
      const merged = new Float32Array(rows.length * columns.length);
      rows.forEach((row, r) => columns.forEach((column, c) => {
        let sum = 0;
        for (const i of row.members) for (const j of column.members) sum += weights[i * width + j];
        merged[r * columns.length + c] = sum / row.members.length;
      }));
      weights = merged;
    }
    return { rows, columns, at: (row, column) => weights[row * columns.length + column] };
  }

  // ---- Small helpers for showing. ----

  const percent = (weight) => `${(weight * 100).toFixed(weight < 0.0995 && weight >= 0.0005 ? 1 : 0)}%`;
  /** A piece as a reader wants it: without the mark of a word's beginning. */
  const plain = (label) => label.replace(/^[▁Ġ](?=.)/u, "");
  const opacity = (weight) => Math.min(1, weight) ** 0.75;
  /** Whether text on this weight's colour is better set in the colour's opposite than in the page's ink. */
  const strong = (weight) => opacity(weight) > (matchMedia("(prefers-color-scheme: dark)").matches ? 0.5 : 0.66);
  const isSpecial = (entry) => entry.word === null;
  const upTo = (count) => Array.from({ length: count }, (_, i) => i);

  // ---- The list of sentences. ----

  const list = $("list");
  function fillList() {
    $("app").classList.toggle("single", sentences.length < 2);
    const made = document.createDocumentFragment();
    sentences.forEach((sentence, index) => {
      const number = element("span", { class: "number" }, String(sentence.line));
      const source = element("span", { class: "source", dir: "auto" }, sentence.source);
      const translation = element("span", { class: "translation", dir: "auto" }, sentence.translation);
      made.append(element("li", { role: "option", id: `sentence-${index}`, "aria-selected": "false" }, number, source, translation));
    });
    list.append(made);
    $("count").textContent = `${sentences.length} sentences`;
  }

  const indexOf = (item) => Number(item.id.slice("sentence-".length));

  function choose(index, scroll = true) {
    list.children[state.index]?.setAttribute("aria-selected", "false");
    state.index = index;
    const item = list.children[index];
    item.setAttribute("aria-selected", "true");
    list.setAttribute("aria-activedescendant", item.id);
    if (scroll) item.scrollIntoView({ block: "nearest" });
    held = pointed = null;
    draw();
  }

  /** Moves by `step` among the sentences the filter shows. */
  function move(step) {
    const shown = [...list.children].filter((item) => !item.hidden);
    if (!shown.length) return;
    const at = shown.findIndex((item) => indexOf(item) === state.index);
    const next = at < 0 ? 0 : Math.max(0, Math.min(shown.length - 1, at + step));
    choose(indexOf(shown[next]));
  }

  function filter() {
    const wanted = $("filter").value.trim().toLocaleLowerCase();
    let shown = 0;
    sentences.forEach((sentence, index) => {
      const text = `${sentence.line} ${sentence.source}\n${sentence.translation}`.toLocaleLowerCase();
      const fits = text.includes(wanted);
      list.children[index].hidden = !fits;
      shown += fits;
    });
    $("count").textContent = wanted ? `${shown} of ${sentences.length} sentences` : `${sentences.length} sentences`;
  }

  // ---- The pickers. ----

  function fillPicker(id, name, values) {
    const holder = $(id).querySelector(".segments");
    holder.replaceChildren(...values.map((value) => {
      const input = element("input", { type: "radio", name, value: String(value), "aria-label": `${name} ${value}` });
      return element("label", {}, input, element("span", { "aria-hidden": "true" }, String(value)));
    }));
    holder.addEventListener("change", (event) => {
      const value = event.target.value;
      state[name] = /^\d+$/.test(value) ? Number(value) : value;
      draw();
    });
    $(id).hidden = values.length < 2;
  }

  function showChoices() {
    for (const name of ["layer", "head"]) {
      for (const input of document.querySelectorAll(`input[name="${name}"]`)) input.checked = input.value === String(state[name]);
    }
    $("words").checked = state.words;
    $("mask").checked = state.mask;
    $("input").checked = state.input;
  }

  // ---- The two lines of text and the links between them. ----

  function fillLine(id, axis, list, label) {
    const line = $(id);
    line.setAttribute("aria-label", label);
    line.replaceChildren(...list.map((entry, i) => {
      const token = element("button", {
        type: "button", class: "token", "data-axis": axis, "data-i": i, tabindex: i ? "-1" : "0", "aria-pressed": "false",
      }, state.words ? entry.label : plain(entry.label));
      if (isSpecial(entry)) token.classList.add("special");
      const same = (other) => other !== undefined && entry.word !== null && entry.word === other.word;
      token.classList.toggle("inside", same(list[i - 1]));
      token.classList.toggle("joined", same(list[i + 1]));
      return token;
    }));
  }

  function fitLines() {
    const lines = $("lines");
    lines.style.setProperty("--token-size", "19px");
    const wanted = Math.max($("top-line").scrollWidth, $("bottom-line").scrollWidth);
    const room = lines.clientWidth - 24;
    if (wanted > room) lines.style.setProperty("--token-size", `${Math.max(13, Math.floor(19 * room / wanted * 2) / 2)}px`);
  }

  function drawCurves() {
    const svg = $("curves");
    const wide = Math.max($("top-line").offsetWidth, $("bottom-line").offsetWidth);
    svg.style.width = `${wide}px`;
    const origin = svg.getBoundingClientRect();
    const middle = (token) => {
      const box = token.getBoundingClientRect();
      return box.left + box.width / 2 - origin.left;
    };
    const tops = [...$("top-line").children].map(middle);
    const bottoms = [...$("bottom-line").children].map(middle);
    const height = 92;
    const paths = [];
    view.rows.forEach((_, row) => view.columns.forEach((_, column) => {
      const weight = view.at(row, column);
      if (weight < 0.04) return;
      const path = document.createElementNS("http://www.w3.org/2000/svg", "path");
      const [x, y] = [tops[column], bottoms[row]];
      path.setAttribute("d", `M${x} 3C${x} ${height * 0.5} ${y} ${height * 0.5} ${y} ${height - 3}`);
      path.setAttribute("stroke-width", (0.75 + 2.75 * weight).toFixed(2));
      path.dataset.row = row;
      path.dataset.column = column;
      path.dataset.opacity = opacity(weight);
      path.style.opacity = opacity(weight) * 0.8;
      paths.push([weight, path]);
    }));
    paths.sort((a, b) => a[0] - b[0]);
    svg.replaceChildren(...paths.map(([, path]) => path));
  }

  // ---- The heat map. ----

  function fillGrid() {
    const grid = $("grid");
    const { rows, columns } = view;
    const room = Math.max(280, $("maps").clientWidth - 190);
    const cell = Math.max(13, Math.min(34, Math.floor(room / columns.length), Math.max(20, Math.floor(680 / rows.length))));
    grid.style.setProperty("--cell", `${cell}px`);
    grid.style.setProperty("--label", `${Math.min(13, Math.max(10, cell - 3))}px`);
    grid.classList.toggle("numbers", cell >= 25);
    const head = element("tr", {}, element("td"));
    columns.forEach((entry, column) => {
      const th = element("th", { scope: "col", "data-column": column }, element("span", {}, state.words ? entry.label : plain(entry.label)));
      if (isSpecial(entry)) th.classList.add("special");
      head.append(th);
    });
    const body = element("tbody");
    rows.forEach((entry, row) => {
      const th = element("th", { scope: "row", "data-row": row }, state.words ? entry.label : plain(entry.label));
      if (isSpecial(entry)) th.classList.add("special");
      const tr = element("tr", {}, th);
      columns.forEach((_, column) => {
        const weight = view.at(row, column);
        const td = element("td", { class: "cell", "data-row": row, "data-column": column, tabindex: row + column ? "-1" : "0" });
        td.textContent = Math.round(weight * 100);
        td.style.setProperty("--w", opacity(weight).toFixed(3));
        if (weight >= 0.095) td.classList.add("seen");
        if (strong(weight)) td.classList.add("strong");
        tr.append(td);
      });
      body.append(tr);
    });
    grid.replaceChildren(element("thead", {}, head), body);
    // Column labels rise at 48 degrees; the last ones reach beyond the table.
    const spans = [...head.querySelectorAll("span")].map((span) => span.offsetWidth);
    const rise = Math.max(0, ...spans);
    const over = Math.max(0, ...spans.map((width, column) => width * 0.67 - (columns.length - 1 - column) * cell));
    grid.style.setProperty("--rise", `${Math.ceil(rise * 0.75 + 20)}px`);
    $("scroller").style.setProperty("--over", `${Math.ceil(over) + 4}px`);
    const named = (name, value) => (value === "mean" ? `mean of all ${name}s` : value === "max" ? `strongest ${name}` : `${name} ${value}`);
    const kind = { cross: "Encoder–decoder attention", encoder: "Encoder self-attention", decoder: "Decoder self-attention" }[about.kind];
    $("map-title").textContent = `${kind}, ${named("layer", state.layer)}, ${named("head", state.head)}`;
    const notes = ["Per cent of each row’s attention; every row sums to 100."];
    if (state.mask) notes.push(`${about.end} is left out and the rest rescaled.`);
    if (state.input) notes.push("Rows belong to the token a step read, not the one it predicted.");
    $("map-note").textContent = notes.join(" ");
  }

  // ---- Every head, small. ----

  function colour() {
    const value = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
    const probe = element("span", { style: "color:var(--ground)" });
    document.body.append(probe);
    const ground = getComputedStyle(probe).color.match(/[\d.]+/g).map(Number);
    probe.remove();
    return { accent: value("--accent").split(/\s+/).map(Number), ground };
  }

  function fillMultiples() {
    const sentence = sentences[state.index];
    const { layers, heads } = sentence;
    $("all").hidden = layers * heads < 2;
    if ($("all").hidden) return;
    const [rows, columns] = [sentence.rows.labels.length, sentence.columns.labels.length];
    const { accent, ground } = colour();
    const side = heads > 8 ? 44 : heads > 4 ? 56 : 76;
    const scale = side / Math.max(rows, columns);
    const holder = $("multiples");
    holder.style.gridTemplateColumns = `max-content repeat(${heads}, max-content)`;
    const made = [element("span")];
    for (const head of upTo(heads)) made.push(element("span", { class: "edge" }, heads > 1 ? `head ${head}` : ""));
    for (const layer of upTo(layers)) {
      made.push(element("span", { class: "edge row" }, `layer ${layer}`));
      for (const head of upTo(heads)) {
        const canvas = element("canvas", { width: columns, height: rows, "aria-hidden": "true" });
        canvas.style.width = `${Math.max(10, Math.round(columns * scale))}px`;
        canvas.style.height = `${Math.max(10, Math.round(rows * scale))}px`;
        const context = canvas.getContext("2d");
        const image = context.createImageData(columns, rows);
        matrixOf(state.index, layer, head).forEach((weight, i) => {
          const amount = opacity(weight);
          for (let c = 0; c < 3; c++) image.data[i * 4 + c] = ground[c] + (accent[c] - ground[c]) * amount;
          image.data[i * 4 + 3] = 255;
        });
        context.putImageData(image, 0, 0);
        const button = element("button", {
          type: "button", "data-layer": layer, "data-head": head,
          "aria-label": `Layer ${layer}, head ${head}`, title: `Layer ${layer}, head ${head}`,
        }, canvas);
        made.push(button);
      }
    }
    holder.replaceChildren(...made);
    markMultiple();
  }

  function markMultiple() {
    const one = sentences[state.index].layers === 1;
    const oneHead = sentences[state.index].heads === 1;
    for (const button of $("multiples").querySelectorAll("button")) {
      const layer = state.layer === Number(button.dataset.layer) || (state.layer === "mean" && one);
      const head = state.head === Number(button.dataset.head) || (typeof state.head === "string" && oneHead);
      button.setAttribute("aria-pressed", String(layer && head));
    }
  }

  // ---- The same in words, for readers of tables and for those who hear the page. ----

  function fillLinks() {
    if (!$("alternative").open) return;
    const [rowName, columnName] = names();
    $("links").tHead.replaceChildren(element("tr", {}, ...[rowName, "Looked most at", "Then", "Then"].map((name) => element("th", { scope: "col" }, name))));
    $("links").tBodies[0].replaceChildren(...view.rows.map((entry, row) => {
      const tr = element("tr", {}, element("th", { scope: "row", dir: "auto" }, plain(entry.label)));
      for (const column of strongest(view.columns.map((_, c) => view.at(row, c))).slice(0, 3)) {
        tr.append(element("td", {}, element("bdi", {}, plain(view.columns[column].label)), element("em", {}, percent(view.at(row, column)))));
      }
      return tr;
    }));
    $("links").setAttribute("aria-label", `${rowName} and the ${columnName.toLowerCase()} they looked at`);
  }

  const names = () => ({
    cross: ["Translation", "Source"], encoder: ["Source (looking)", "Source (looked at)"], decoder: ["Translation (being written)", "Translation (read so far)"],
  })[about.kind];

  const strongest = (weights) => upTo(weights.length).sort((a, b) => weights[b] - weights[a]);

  // ---- Pointing: light what belongs together. ----

  function light() {
    const focus = held || pointed;
    const grid = $("grid");
    grid.classList.toggle("busy", Boolean(focus));
    const rowOn = (row) => focus && (focus.axis === "columns" ? false : row === focus.row);
    const columnOn = (column) => focus && (focus.axis === "rows" ? false : column === focus.column);
    const cellOn = (row, column) => focus && (focus.axis === "rows" ? row === focus.row : focus.axis === "columns" ? column === focus.column : row === focus.row || column === focus.column);
    for (const td of grid.querySelectorAll("td.cell")) td.classList.toggle("on", Boolean(cellOn(+td.dataset.row, +td.dataset.column)));
    for (const th of grid.querySelectorAll("th[data-row]")) th.classList.toggle("on", Boolean(rowOn(+th.dataset.row)));
    for (const th of grid.querySelectorAll("th[data-column]")) th.classList.toggle("on", Boolean(columnOn(+th.dataset.column)));
    const lightLine = (id, axis) => {
      const own = focus && (focus.axis === axis || focus.axis === "cell");
      const other = focus && focus.axis !== axis && focus.axis !== "cell";
      const tokens = [...$(id).children];
      const weights = other ? tokens.map((_, i) => (axis === "rows" ? view.at(i, focus.column) : view.at(focus.row, i))) : [];
      const best = Math.max(...weights);
      tokens.forEach((token, i) => {
        const index = focus && (axis === "rows" ? focus.row : focus.column);
        const active = Boolean(own && i === index);
        const weight = other ? weights[i] : 0;
        token.classList.toggle("active", active);
        token.setAttribute("aria-pressed", String(Boolean(held) && active && held.axis === axis));
        token.style.setProperty("--w", other ? opacity(weight).toFixed(3) : 0);
        token.classList.toggle("lit", Boolean(other && (weight >= 0.15 || (weight === best && weight > 0))));
        token.classList.toggle("strong", Boolean(other && strong(weight * 0.8)));
      });
    };
    lightLine("top-line", "columns");
    lightLine("bottom-line", "rows");
    for (const path of $("curves").children) {
      const row = Number(path.dataset.row);
      const column = Number(path.dataset.column);
      const on = !focus || (focus.axis === "cell" ? row === focus.row && column === focus.column : cellOn(row, column));
      path.style.opacity = on ? path.dataset.opacity * (focus ? 1 : 0.8) : 0.05;
    }
    readOut(focus);
  }

  function readOut(focus) {
    const readout = $("readout");
    if (!focus) {
      readout.textContent = "Point at a word to see what it looked at, or what looked at it.";
      return;
    }
    const bold = (entry) => element("b", {}, plain(entry.label));
    if (focus.axis === "cell") {
      readout.replaceChildren(bold(view.rows[focus.row]), " looked at ", bold(view.columns[focus.column]), ` with ${percent(view.at(focus.row, focus.column))}`);
      return;
    }
    const ofRow = focus.axis === "rows";
    const weights = ofRow ? view.columns.map((_, c) => view.at(focus.row, c)) : view.rows.map((_, r) => view.at(r, focus.column));
    const others = ofRow ? view.columns : view.rows;
    const parts = strongest(weights).slice(0, 4).filter((i, place) => !place || weights[i] >= 0.02)
      .map((i) => element("span", {}, bold(others[i]), ` ${percent(weights[i])}`));
    const own = ofRow ? view.rows[focus.row] : view.columns[focus.column];
    readout.replaceChildren(bold(own), ofRow ? " looked at" : " was looked at by", ...parts);
  }

  /** What an event's target stands for, or null. */
  function meaning(target) {
    const at = target.closest?.("[data-i], [data-row], [data-column]");
    if (!at || at.tagName === "path") return null;
    if (at.dataset.i !== undefined) {
      return at.dataset.axis === "rows" ? { axis: "rows", row: +at.dataset.i } : { axis: "columns", column: +at.dataset.i };
    }
    const row = at.dataset.row === undefined ? undefined : +at.dataset.row;
    const column = at.dataset.column === undefined ? undefined : +at.dataset.column;
    return row === undefined ? { axis: "columns", column } : column === undefined ? { axis: "rows", row } : { axis: "cell", row, column };
  }

  function point(target) {
    const next = meaning(target);
    if (JSON.stringify(next) === JSON.stringify(pointed)) return;
    pointed = next;
    if (!held) light();
  }

  function hold(target) {
    const wanted = meaning(target);
    if (!wanted || wanted.axis === "cell") return;
    held = JSON.stringify(held) === JSON.stringify(wanted) ? null : wanted;
    light();
  }

  // ---- Drawing everything. ----

  function draw() {
    view = build();
    showChoices();
    const [rowName, columnName] = names();
    fillLine("top-line", "columns", view.columns, columnName);
    fillLine("bottom-line", "rows", view.rows, rowName);
    fitLines();
    drawCurves();
    fillGrid();
    if (drawnIndex !== state.index) fillMultiples();
    else if (!$("all").hidden) markMultiple();
    drawnIndex = state.index;
    fillLinks();
    const within = (what, axis, count) => what && what[axis] !== undefined && what[axis] >= count;
    if (within(held, "row", view.rows.length) || within(held, "column", view.columns.length)) held = null;
    pointed = null;
    light();
    remember();
  }
  let drawnIndex = -1;

  /** The address carries the choices, so that it can be kept and sent. */
  function remember() {
    const parts = new URLSearchParams({ line: sentences[state.index].line, layer: state.layer, head: state.head });
    for (const name of ["words", "mask", "input"]) if (state[name]) parts.set(name, "1");
    history.replaceState(null, "", `#${parts}`);
  }

  function recall() {
    const parts = new URLSearchParams(location.hash.slice(1));
    if (!parts.has("line")) return;
    const index = sentences.findIndex((sentence) => String(sentence.line) === parts.get("line"));
    if (index >= 0) state.index = index;
    for (const [name, words] of [["layer", ["mean"]], ["head", ["mean", "max"]]]) {
      const value = parts.get(name);
      const count = sentences[state.index][`${name}s`];
      if (words.includes(value)) state[name] = value;
      else if (/^\d+$/.test(value) && Number(value) < count) state[name] = Number(value);
    }
    for (const name of ["words", "mask", "input"]) state[name] = parts.has(name);
  }

  // ---- Keyboard. ----

  function moveInLine(event) {
    const token = event.target;
    const line = token.parentElement;
    const tokens = [...line.children];
    const at = tokens.indexOf(token);
    const to = (next) => {
      if (!next) return;
      for (const other of next.parentElement.children) other.tabIndex = -1;
      next.tabIndex = 0;
      next.focus();
      event.preventDefault();
    };
    const across = (id) => {
      const others = [...$(id).children];
      const middle = token.getBoundingClientRect();
      const away = (other) => Math.abs(other.getBoundingClientRect().left + other.offsetWidth / 2 - middle.left - token.offsetWidth / 2);
      to(others.sort((a, b) => away(a) - away(b))[0]);
    };
    if (event.key === "ArrowRight") to(tokens[at + 1]);
    else if (event.key === "ArrowLeft") to(tokens[at - 1]);
    else if (event.key === "Home") to(tokens[0]);
    else if (event.key === "End") to(tokens[tokens.length - 1]);
    else if (event.key === "ArrowDown" && line.id === "top-line") across("bottom-line");
    else if (event.key === "ArrowUp" && line.id === "bottom-line") across("top-line");
  }

  function moveInGrid(event) {
    const cell = event.target.closest("td.cell");
    if (!cell) return;
    let [row, column] = [Number(cell.dataset.row), Number(cell.dataset.column)];
    if (event.key === "ArrowRight") column++;
    else if (event.key === "ArrowLeft") column--;
    else if (event.key === "ArrowDown") row++;
    else if (event.key === "ArrowUp") row--;
    else if (event.key === "Home") column = 0;
    else if (event.key === "End") column = view.columns.length - 1;
    else return;
    event.preventDefault();
    const next = $("grid").querySelector(`td.cell[data-row="${row}"][data-column="${column}"]`);
    if (!next) return;
    cell.tabIndex = -1;
    next.tabIndex = 0;
    next.focus();
  }

  function listen() {
    list.addEventListener("click", (event) => {
      const item = event.target.closest("li");
      if (item) choose(indexOf(item), false);
    });
    list.addEventListener("keydown", (event) => {
      const step = { ArrowDown: 1, ArrowUp: -1, PageDown: 10, PageUp: -10, Home: -Infinity, End: Infinity }[event.key];
      if (step === undefined) return;
      event.preventDefault();
      move(step);
    });
    $("filter").addEventListener("input", filter);
    $("filter").addEventListener("keydown", (event) => {
      if (event.key === "ArrowDown" || event.key === "Enter") {
        event.preventDefault();
        const shown = [...list.children].filter((item) => !item.hidden);
        if (shown.length && !shown.some((item) => indexOf(item) === state.index)) choose(indexOf(shown[0]));
        list.focus();
      }
    });
    $("controls").addEventListener("submit", (event) => event.preventDefault());
    for (const name of ["words", "mask", "input"]) {
      $(name).addEventListener("change", (event) => {
        state[name] = event.target.checked;
        held = null;
        draw();
      });
    }
    for (const id of ["lines", "grid"]) {
      $(id).addEventListener("pointerover", (event) => point(event.target));
      $(id).addEventListener("pointerleave", () => point(document.body));
      $(id).addEventListener("focusin", (event) => { if (event.target.matches(":focus-visible")) point(event.target); });
      $(id).addEventListener("focusout", () => point(document.body));
      $(id).addEventListener("click", (event) => hold(event.target));
    }
    $("lines").addEventListener("keydown", moveInLine);
    $("grid").addEventListener("keydown", moveInGrid);
    $("multiples").addEventListener("click", (event) => {
      const button = event.target.closest("button");
      if (!button) return;
      state.layer = Number(button.dataset.layer);
      state.head = Number(button.dataset.head);
      draw();
    });
    $("alternative").addEventListener("toggle", fillLinks);
    document.addEventListener("keydown", (event) => {
      if (event.key === "Escape") {
        held = pointed = null;
        light();
      } else if (event.key === "/" && !event.target.matches("input[type=search]")) {
        event.preventDefault();
        $("filter").focus();
      }
    });
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => { drawnIndex = -1; draw(); });
    let last = innerWidth;
    addEventListener("resize", () => {
      if (innerWidth !== last) draw();
      last = innerWidth;
    });
    addEventListener("hashchange", () => {
      const before = state.index;
      recall();
      const after = state.index;
      state.index = before;
      choose(after);
    });
  }

  function begin() {
    for (const place of document.querySelectorAll(".end")) place.textContent = about.end;
    if (!sentences.length) {
      $("app").classList.add("single");
      document.querySelector("main").replaceChildren(element("p", {}, "There are no sentences."));
      return;
    }
    const [first] = sentences;
    if (state.layer === "last") state.layer = first.layers - 1;
    fillPicker("layers", "layer", first.layers > 1 ? ["mean", ...upTo(first.layers)] : [0]);
    fillPicker("heads", "head", first.heads > 1 ? ["mean", "max", ...upTo(first.heads)] : [0]);
    $("mask-label").hidden = first.columns.end === null;
    $("input-label").hidden = about.kind === "encoder";
    fillList();
    recall();
    listen();
    choose(state.index);
    document.documentElement.dataset.ready = "true";
  }

  begin();
})();
