// ---- Taking something away: pictures, numbers, the address. ----

function save(name, type, content) {
  const address = URL.createObjectURL(content instanceof Blob ? content : new Blob([content], { type }));
  const link = element("a", { href: address, download: name });
  document.body.append(link);
  link.click();
  link.remove();
  setTimeout(() => URL.revokeObjectURL(address), 10000);
  say(`Saved as ${name}.`);
}

const escaped = (text) => text.replace(/[&<>"]/g, (letter) => ({ "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;" })[letter]);

/** The name of a file for what is on show. */
function fileName(ending) {
  const { layer, head } = state.choices[state.kind];
  return `attention-line-${sentenceAt(state.index).line}-${state.kind}-layer-${layer}-head-${head}.${ending}`;
}

/** The heat map as SVG: real text, one rectangle a cell. */
function svgOf(map, title) {
  const cell = Math.max(14, map.shape.cell);
  const own = map.measured(cell);
  const { view } = map;
  const { ink, soft, paper, ground } = colours();
  const margin = 16;
  const [width, height] = [own.left + own.width + own.right + 2 * margin, own.top + own.height + 2 * margin + 26];
  const place = (column) => (own.turned ? view.columns.length - 1 - column : column);
  const parts = [];
  // A full stop stays at the left of a word from right to left, by a mark of direction.
  const label = (text) => escaped(text) + (isRightToLeft(text) && !/\p{L}$/u.test(text) ? "\u200f" : "");
  const fill = (entry) => css(entry.word === null ? soft : ink);
  view.columns.forEach((entry, column) => {
    const x = own.left + (place(column) + 0.5) * cell + (own.turned ? -3 : 3);
    const angle = own.turned ? 48 : -48;
    parts.push(`<text transform="translate(${x.toFixed(1)} ${own.top - 8}) rotate(${angle})" text-anchor="${own.turned ? "end" : "start"}" dominant-baseline="middle" fill="${fill(entry)}">${label(own.columns[column])}</text>`);
  });
  view.rows.forEach((entry, row) => {
    const x = own.rowsRight ? own.left + own.width + 8 : own.left - 8;
    parts.push(`<text x="${x}" y="${own.top + (row + 0.5) * cell}" text-anchor="${own.rowsRight ? "start" : "end"}" dominant-baseline="middle" fill="${fill(entry)}">${label(own.rows[row])}</text>`);
  });
  parts.push(`<rect x="${own.left}" y="${own.top}" width="${own.width}" height="${own.height}" fill="${css(ground)}"/>`);
  view.rows.forEach((entry, row) => view.columns.forEach((other, column) => {
    const weight = view.at(row, column);
    if (Math.abs(weight) < 0.002) return;
    const [x, y] = [own.left + place(column) * cell, own.top + row * cell];
    parts.push(`<rect x="${x}" y="${y}" width="${cell}" height="${cell}" fill="${css(map.colourOf(weight))}"><title>${escaped(`${labelOf(entry)} → ${labelOf(other)}: ${percent(weight)}`)}</title></rect>`);
  }));
  return `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}" viewBox="0 0 ${width} ${height}" font-family="${escaped(FONT_FAMILY.replace(/"/g, "'"))}" font-size="${own.font}">\n`
    + `<title>${escaped(title)}</title>\n<rect width="100%" height="100%" fill="${css(paper)}"/>\n`
    + `<g transform="translate(${margin} ${margin})">\n${parts.join("\n")}\n</g>\n`
    + `<text x="${margin}" y="${height - margin}" font-size="12" fill="${css(soft)}">${escaped(title)}</text>\n</svg>\n`;
}

function pngOf(map, title) {
  const { canvas, width, height } = map.whole(1);
  const scale = 2;
  const margin = 16;
  const made = element("canvas", { width: (width + 2 * margin) * scale, height: (height + 2 * margin + 26) * scale });
  const pen = made.getContext("2d");
  const { paper, soft } = colours();
  pen.fillStyle = css(paper);
  pen.fillRect(0, 0, made.width, made.height);
  pen.drawImage(map.whole(scale).canvas, margin * scale, margin * scale);
  pen.fillStyle = css(soft);
  pen.font = `${12 * scale}px ${FONT_FAMILY}`;
  pen.fillText(title, margin * scale, made.height - margin * scale);
  canvas.remove();
  return new Promise((done) => made.toBlob(done, "image/png"));
}

/** What `attn-dump --format json` writes of the same view. */
function jsonOf(view) {
  const sentence = sentenceAt(state.index);
  const own = sentence.views[state.view];
  const { layer, head } = state.choices[state.kind];
  return {
    line: sentence.line, kind: state.kind, source: sentence.source, translation: own.translation, score: own.score, layer, head,
    unit: state.words ? "words" : "pieces", align_on: state.input ? "input" : "output", eos: state.mask ? "masked" : "kept",
    rows: view.rows.map((entry) => (state.words ? entry.text : entry.label)),
    columns: view.columns.map((entry) => (state.words ? entry.text : entry.label)),
    matrix: view.rows.map((_, row) => view.columns.map((_, column) => Number(view.at(row, column).toFixed(5)))),
  };
}

function csvOf(view) {
  const quoted = (text) => (/[",\r\n]/.test(text) ? `"${text.replace(/"/g, '""')}"` : text);
  const lines = [["", ...view.columns.map(labelOf)].map(quoted).join(",")];
  view.rows.forEach((entry, row) => lines.push([quoted(labelOf(entry)), ...view.columns.map((_, column) => view.at(row, column).toFixed(5))].join(",")));
  return `${lines.join("\r\n")}\r\n`;
}

function listenToExport(pictured) {
  const actions = {
    svg: ({ map, title }) => save(fileName("svg"), "image/svg+xml", svgOf(map, title)),
    png: async ({ map, title }) => save(fileName("png"), "image/png", await pngOf(map, title)),
    csv: ({ view }) => save(fileName("csv"), "text/csv", csvOf(view)),
    json: ({ view }) => save(fileName("json"), "application/json", `${JSON.stringify(jsonOf(view))}\n`),
    link: async () => {
      writeAddress();
      try {
        await navigator.clipboard.writeText(location.href);
        say("The link to this view is copied.");
      } catch {
        // Without permission the person copies it.
        $("address").hidden = false;
        $("address").value = location.href;
        $("address").select();
        say("This link leads to what you see: copy it.");
      }
    },
    print: () => window.print(),
  };
  $("export").addEventListener("click", (event) => {
    const action = event.target.closest("button")?.dataset.save;
    if (!action) return;
    if (action !== "link") $("export").open = false;
    actions[action](pictured());
  });
  document.addEventListener("pointerdown", (event) => { if (!$("export").contains(event.target)) $("export").open = false; });
}
