// ---- The same as tables, for readers of numbers and for those who hear the page. ----

/** Rows of the table of numbers that are shown at once. */
const CELLS_AT_ONCE = 3000;
let tableFrom = 0;

const NAMES = {
  cross: ["Translation", "Source"],
  encoder: ["Source (looking)", "Source (looked at)"],
  decoder: ["Translation (being written)", "Translation (read so far)"],
};

const heading = (text) => element("th", { scope: "col" }, text);
const rowHeading = (entry) => element("th", { scope: "row", dir: "auto" }, labelOf(entry));

function fillLinks(view) {
  if (!$("links-box").open) return;
  const [rowName, columnName] = NAMES[state.kind];
  $("links").tHead.replaceChildren(element("tr", {}, ...[rowName, "Looked most at", "Then", "Then"].map(heading)));
  $("links").tBodies[0].replaceChildren(...view.rows.map((entry, row) => {
    const tr = element("tr", {}, rowHeading(entry));
    for (const column of strongest(view.columns.map((_, c) => view.at(row, c))).slice(0, 3)) {
      tr.append(element("td", {}, element("bdi", {}, labelOf(view.columns[column])), element("em", {}, percent(view.at(row, column)))));
    }
    return tr;
  }));
  $("links").setAttribute("aria-label", `${rowName} and the ${columnName.toLowerCase()} they looked at`);
}

/** All numbers, a stretch of rows at a time. */
function fillNumbers(view) {
  if (!$("numbers-box").open) return;
  const rows = Math.max(1, Math.floor(CELLS_AT_ONCE / view.columns.length));
  tableFrom = clamp(tableFrom, 0, Math.max(0, view.rows.length - 1));
  tableFrom -= tableFrom % rows;
  const to = Math.min(view.rows.length, tableFrom + rows);
  const [rowName] = NAMES[state.kind];
  $("numbers").tHead.replaceChildren(element("tr", {}, heading(`${rowName} ↓ per cent`), ...view.columns.map((entry) => heading(labelOf(entry)))));
  $("numbers").tBodies[0].replaceChildren(...view.rows.slice(tableFrom, to).map((entry, i) => {
    const tr = element("tr", {}, rowHeading(entry));
    for (let column = 0; column < view.columns.length; column++) tr.append(element("td", {}, (view.at(tableFrom + i, column) * 100).toFixed(1)));
    return tr;
  }));
  $("numbers").dataset.from = tableFrom;
  $("numbers-pages").hidden = view.rows.length <= rows;
  $("numbers-place").textContent = `Rows ${tableFrom + 1} to ${to} of ${view.rows.length}`;
  $("numbers-pages").dataset.rows = rows;
}

/** What each head of a layer looked at most, word by word. */
function fillPath(recorded, view) {
  $("path-box").hidden = state.kind !== "cross" || state.other !== null;
  if (!$("path-box").open || $("path-box").hidden) return;
  const own = sentenceAt(state.index).views[state.view];
  const { layers, heads } = own.kinds.cross;
  const chosen = state.choices.cross.layer;
  const layer = typeof chosen === "number" ? chosen : Math.min(layers - 1, about.alignment ? about.alignment.layer : layers - 1);
  const options = { kind: "cross", words: true, mask: state.mask, input: state.input };
  const matrices = upTo(heads).map((head) => matrixOf(recorded, own, { ...options, layer, head }));
  const alignment = choicesOf(matrixOf(recorded, own, { ...options, ...alignmentChoice("cross") }));
  $("path").tHead.replaceChildren(element("tr", {}, heading("Translation"), ...upTo(heads).map((head) => heading(`Head ${head}`))));
  $("path").tBodies[0].replaceChildren(...matrices[0].rows.map((entry, row) => {
    const tr = element("tr", {}, rowHeading(entry));
    for (const matrix of matrices) {
      const column = strongest(matrix.columns.map((_, c) => matrix.at(row, c)))[0];
      const td = element("td", {}, element("bdi", {}, labelOf(matrix.columns[column])), element("em", {}, percent(matrix.at(row, column))));
      td.classList.toggle("agrees", column === alignment[row]);
      tr.append(td);
    }
    return tr;
  }));
  $("path-note").textContent = `Layer ${layer}${typeof chosen === "number" ? "" : ", the one to read alignments from"}; underlined where a head agrees with the alignment.`;
}

function listenToTables(redraw) {
  for (const id of ["links-box", "numbers-box", "path-box"]) $(id).addEventListener("toggle", redraw);
  for (const [id, way] of [["numbers-back", -1], ["numbers-on", 1]]) {
    $(id).addEventListener("click", () => {
      tableFrom += way * Number($("numbers-pages").dataset.rows);
      redraw();
    });
  }
}
