// ---- Heat maps: a canvas that draws the cells in sight. ----

/** Below this many pixels a cell is drawn as a pixel of an enlarged image, and its labels are left out. */
const FINE = 9;
const LABEL_MOST = 150;
const FONT_FAMILY = getComputedStyle(document.body).fontFamily;

/**
 * A heat map in `section`, which holds `.scroller > .space > canvas`. `onPoint(focus)` hears what is pointed at.
 * The same drawing serves the screen, the printer and PNG.
 */
function heatMap(section, onPoint, onHold) {
  const scroller = section.querySelector(".scroller");
  const space = section.querySelector(".space");
  const canvas = section.querySelector("canvas");
  const context = canvas.getContext("2d");
  let view = null;
  let shape = null;
  let image = null;
  let focus = null;
  /** The cell that the keyboard is at. */
  let cursor = null;

  const columnsTurned = () => isRightToLeft(view.columns.map((entry) => (entry.word === null ? "" : entry.text)).join(""));
  const rowsTurned = () => isRightToLeft(view.rows.map((entry) => (entry.word === null ? "" : entry.text)).join(""));

  const cut = (pen, text) => {
    if (widthOf(pen, text) <= LABEL_MOST) return text;
    const letters = [...text];
    while (letters.length > 1 && pen.measureText(`${letters.join("")}…`).width > LABEL_MOST) letters.pop();
    return `${letters.join("")}…`;
  };

  /** The widths of labels in the present font. */
  const widths = new Map();
  const widthOf = (pen, label) => {
    const key = `${pen.font} ${label}`;
    if (!widths.has(key)) widths.set(key, pen.measureText(label).width);
    return widths.get(key);
  };

  /** Where everything lies, for cells of a given side. */
  function measure(pen, cell) {
    const font = clamp(cell - 3, 10, 13);
    const fine = cell < FINE;
    pen.font = `${font}px ${FONT_FAMILY}`;
    const widest = (entries) => {
      const labels = entries.map((entry) => (fine ? "" : cut(pen, labelOf(entry))));
      const widths = labels.map((label) => widthOf(pen, label));
      return { labels, widths, most: widths.reduce((most, width) => Math.max(most, width), 0) };
    };
    const rows = widest(view.rows);
    const columns = widest(view.columns);
    const [turned, rowsRight] = [columnsTurned(), rowsTurned()];
    const count = view.columns.length;
    // Column labels rise at 48 degrees; the outermost ones reach beyond the cells.
    const place = (column) => (turned ? count - 1 - column : column);
    const reach = columns.widths.map((width, column) => width * 0.67 + 8 - (turned ? place(column) : count - 1 - place(column)) * cell);
    const over = fine ? 0 : Math.ceil(Math.max(0, ...reach));
    const beside = fine ? 0 : Math.ceil(rows.most) + 12;
    return {
      cell, font, fine, turned, rowsRight, rows: rows.labels, columns: columns.labels,
      left: rowsRight ? (turned ? over : 1) : Math.max(beside, turned ? over : 0),
      right: rowsRight ? Math.max(beside, turned ? 0 : over) : (turned ? 1 : over),
      top: fine ? 1 : Math.ceil(columns.most * 0.75) + 20,
      width: count * cell, height: view.rows.length * cell,
    };
  }

  function automaticCell() {
    const room = Math.max(200, section.parentElement.clientWidth - (section.dataset.beside ? Number(section.dataset.beside) : 0));
    const [rows, columns] = [view.rows.length, view.columns.length];
    const labels = 120;
    return clamp(Math.floor(Math.min((room - labels) / columns, Math.max(20, 680 / rows))), 13, 34);
  }

  const colourOf = (weight) => {
    const { ground, accent, warm } = colours();
    return mix(ground, weight < 0 ? warm : accent, opacity(weight / view.full));
  };

  /** A pixel for each cell. */
  function picture() {
    const [rows, columns] = [view.rows.length, view.columns.length];
    const made = element("canvas", { width: Math.max(1, columns), height: Math.max(1, rows) });
    const pen = made.getContext("2d");
    const data = pen.createImageData(Math.max(1, columns), Math.max(1, rows));
    // Four bytes a pixel in the order red, green, blue, opacity, on all machines that browsers run on.
    const pixels = new Uint32Array(data.data.buffer);
    const pixel = (shade) => ((255 << 24) | (Math.round(shade[2]) << 16) | (Math.round(shade[1]) << 8) | Math.round(shade[0])) >>> 0;
    const shades = Uint32Array.from(upTo(2049), (level) => pixel(colourOf((level - 1024) / 1024)));
    const { paper, ground } = colours();
    const unseen = pixel(mix(paper, ground, 0.45));
    const turned = columnsTurned();
    const { weights } = view;
    for (let row = 0, i = 0; row < rows; row++) {
      for (let column = 0; column < columns; column++, i++) {
        const weight = weights[i];
        pixels[row * columns + (turned ? columns - 1 - column : column)] =
          weight === 0 && !view.signed ? unseen : shades[1024 + Math.round(clamp(weight, -1, 1) * 1024)];
      }
    }
    pen.putImageData(data, 0, 0);
    return made;
  }

  /** Draws what lies within `width` by `height` pixels from (`x`, `y`); the labels stay at the edges. */
  function paint(pen, own, x, y, width, height, lit) {
    const { cell, left, right, top, turned, rowsRight, fine } = own;
    const { ink, soft, paper, ground, accent } = colours();
    const [rows, columns] = [view.rows.length, view.columns.length];
    const place = (column) => (turned ? columns - 1 - column : column);
    const columnAt = (column) => left + place(column) * cell - x;
    const rowAt = (row) => top + row * cell - y;
    const shown = (from, to, size) => [Math.max(0, Math.floor(from / cell)), Math.min(size, Math.ceil(to / cell))];
    const [firstPlace, lastPlace] = shown(x, x + width - left - right, columns);
    const [firstRow, lastRow] = shown(y, y + height - top, rows);
    const isOn = (row, column) => !lit || (lit.axis === "rows" ? row === lit.row : lit.axis === "columns" ? column === lit.column : row === lit.row || column === lit.column);
    pen.clearRect(0, 0, width, height);
    pen.save();
    pen.beginPath();
    pen.rect(left, top, Math.max(0, width - left - right), Math.max(0, height - top));
    pen.clip();
    if (cell < 18) {
      image ??= picture();
      pen.imageSmoothingEnabled = false;
      pen.drawImage(image, left - x, top - y, own.width, own.height);
      if (lit) {
        pen.fillStyle = css(paper);
        pen.globalAlpha = 0.62;
        pen.fillRect(left - x, top - y, own.width, own.height);
        pen.globalAlpha = 1;
        if (lit.axis !== "columns") pen.drawImage(image, 0, lit.row, columns, 1, left - x, rowAt(lit.row), own.width, cell);
        if (lit.axis !== "rows") pen.drawImage(image, place(lit.column), 0, 1, rows, columnAt(lit.column), top - y, cell, own.height);
      }
      if (!fine) {
        // The gaps between cells.
        pen.fillStyle = css(paper);
        for (let at = firstPlace; at <= lastPlace; at++) pen.fillRect(left + at * cell - x - 0.5, 0, 1, height);
        for (let row = firstRow; row <= lastRow; row++) pen.fillRect(0, rowAt(row) - 0.5, width, 1);
      }
    } else {
      const gap = 0.75;
      const round = 3;
      pen.font = `10px ${FONT_FAMILY}`;
      pen.textAlign = "center";
      pen.textBaseline = "middle";
      for (let row = firstRow; row < lastRow; row++) {
        for (let at = firstPlace; at < lastPlace; at++) {
          const column = place(at);
          const weight = view.at(row, column);
          const shade = colourOf(weight);
          pen.globalAlpha = isOn(row, column) ? 1 : 0.28;
          // What was out of sight has no cell, only its place.
          if (weight === 0 && !view.signed) {
            pen.fillStyle = css(mix(paper, ground, 0.45));
          } else {
            pen.fillStyle = css(shade);
          }
          pen.beginPath();
          pen.roundRect(columnAt(column) + gap, rowAt(row) + gap, cell - 2 * gap, cell - 2 * gap, round);
          pen.fill();
          if (cell >= 25 && Math.abs(weight) >= 0.095) {
            pen.fillStyle = readableOn(shade);
            pen.fillText(Math.round(weight * 100), columnAt(column) + cell / 2, rowAt(row) + cell / 2 + 0.5);
          }
        }
      }
      pen.globalAlpha = 1;
    }
    if (cursor && lit) {
      pen.strokeStyle = css(accent);
      pen.lineWidth = 2;
      pen.strokeRect(columnAt(cursor.column) + 1, rowAt(cursor.row) + 1, Math.max(3, cell - 2), Math.max(3, cell - 2));
    }
    pen.restore();
    if (fine) return;
    const label = (text, entry, on, only) => {
      pen.font = `${on ? "600 " : ""}${own.font}px ${FONT_FAMILY}`;
      pen.fillStyle = css(only ? colours()[only === 1 ? "accent" : "warm"] : entry.word === null || (lit && !on) ? soft : ink);
      pen.direction = isRightToLeft(entry.text) ? "rtl" : "ltr";
    };
    pen.textBaseline = "middle";
    pen.save();
    pen.beginPath();
    pen.rect(0, top, width, height - top);
    pen.clip();
    const edge = rowsRight ? Math.min(width - right, left + own.width - x) + 8 : left - 8;
    pen.textAlign = rowsRight ? "left" : "right";
    for (let row = firstRow; row < lastRow; row++) {
      const entry = view.rows[row];
      label(own.rows[row], entry, lit && lit.axis !== "columns" && lit.row === row, entry.only);
      pen.fillText(own.rows[row], edge, rowAt(row) + cell / 2 + 0.5);
    }
    pen.restore();
    pen.save();
    pen.beginPath();
    // Labels of columns that are out of sight do not show.
    pen.rect(turned ? 0 : left, 0, turned ? width - right : width - left, top);
    pen.clip();
    for (let at = firstPlace; at < lastPlace; at++) {
      const column = place(at);
      const entry = view.columns[column];
      label(own.columns[column], entry, lit && lit.axis !== "rows" && lit.column === column);
      pen.save();
      pen.translate(columnAt(column) + cell / 2 + (turned ? -3 : 3), top - 8);
      pen.rotate(((turned ? 48 : -48) * Math.PI) / 180);
      pen.textAlign = turned ? "right" : "left";
      pen.fillText(own.columns[column], 0, 0);
      pen.restore();
    }
    pen.restore();
  }

  function draw() {
    if (!view || !shape) return;
    const scale = window.devicePixelRatio || 1;
    const [width, height] = [Math.min(scroller.clientWidth, shape.total[0]), Math.min(scroller.clientHeight, shape.total[1])];
    if (canvas.width !== Math.round(width * scale) || canvas.height !== Math.round(height * scale)) {
      canvas.width = Math.round(width * scale);
      canvas.height = Math.round(height * scale);
      canvas.style.width = `${width}px`;
      canvas.style.height = `${height}px`;
    }
    context.setTransform(scale, 0, 0, scale, 0, 0);
    // Where the cells lie, for who drives the page.
    Object.assign(canvas.dataset, { left: shape.left, top: shape.top, cell: shape.cell });
    paint(context, shape, scroller.scrollLeft, scroller.scrollTop, width, height, focus);
  }

  function layOut(cell = clamp(automaticCell() * 1.3 ** state.zoom, 2, 64)) {
    shape = measure(context, cell < FINE ? cell : Math.round(cell * 4) / 4);
    shape.total = [shape.left + shape.width + shape.right, shape.top + shape.height + 2].map(Math.ceil);
    space.style.width = `${shape.total[0]}px`;
    space.style.height = `${shape.total[1]}px`;
  }

  /** Takes over a matrix, of the same rows and columns as before or of others; `light` paints it. */
  function show(next, same = false) {
    const turnedBefore = view && shape.turned;
    view = next;
    image = null;
    focus = cursor = null;
    section.hidden = !view;
    if (!view) return;
    if (!same) layOut();
    if (shape.turned && !turnedBefore) scroller.scrollLeft = shape.total[0];
    const label = `${section.querySelector("h2").textContent}: ${view.rows.length} rows, ${view.columns.length} columns. Arrow keys move from cell to cell.`;
    scroller.setAttribute("aria-label", label);
  }

  /** The smallest cells that show all columns at once. */
  function fit() {
    // Less the bar that scrolls the rows.
    const room = section.parentElement.clientWidth - 18;
    const tight = measure(context, FINE);
    const cell = (room - tight.left - tight.right) / view.columns.length;
    return cell >= FINE ? cell : clamp((room - 4) / view.columns.length, 2, FINE - 0.25);
  }

  function meaning(event) {
    if (!view) return null;
    const box = canvas.getBoundingClientRect();
    const [x, y] = [event.clientX - box.left, event.clientY - box.top];
    const at = Math.floor((x - shape.left + scroller.scrollLeft) / shape.cell);
    const column = shape.turned ? view.columns.length - 1 - at : at;
    const row = Math.floor((y - shape.top + scroller.scrollTop) / shape.cell);
    const within = (value, size) => value >= 0 && value < size;
    const inColumns = within(column, view.columns.length) && x >= shape.left;
    if (y < shape.top) {
      // A label leans over its neighbours' columns: follow it down to its own.
      const lean = (shape.top - 8 - y) * 0.9 * (shape.turned ? -1 : 1);
      const foot = Math.floor((x - lean - shape.left + scroller.scrollLeft) / shape.cell);
      const own = shape.turned ? view.columns.length - 1 - foot : foot;
      return within(own, view.columns.length) ? { axis: "columns", column: own } : null;
    }
    if (!within(row, view.rows.length)) return null;
    return inColumns ? { axis: "cell", row, column } : { axis: "rows", row };
  }

  function reveal({ row, column }) {
    const place = shape.turned ? view.columns.length - 1 - column : column;
    const into = (from, size, at, room) => (at < from ? at : at + size > from + room ? at + size - room : from);
    scroller.scrollLeft = into(scroller.scrollLeft, shape.cell, place * shape.cell, scroller.clientWidth - shape.left - shape.right);
    scroller.scrollTop = into(scroller.scrollTop, shape.cell, row * shape.cell, scroller.clientHeight - shape.top);
  }

  scroller.addEventListener("scroll", draw, { passive: true });
  canvas.addEventListener("pointermove", (event) => onPoint(meaning(event)));
  canvas.addEventListener("pointerleave", () => onPoint(null));
  canvas.addEventListener("click", (event) => onHold(meaning(event)));
  scroller.addEventListener("focus", () => {
    if (!view || !scroller.matches(":focus-visible")) return;
    cursor ??= { row: 0, column: 0 };
    onPoint({ axis: "cell", ...cursor });
  });
  scroller.addEventListener("blur", () => {
    cursor = null;
    onPoint(null);
  });
  scroller.addEventListener("keydown", (event) => {
    const way = shape?.turned ? -1 : 1;
    const steps = {
      ArrowRight: [0, way], ArrowLeft: [0, -way], ArrowDown: [1, 0], ArrowUp: [-1, 0],
      Home: [0, -Infinity], End: [0, Infinity], PageDown: [10, 0], PageUp: [-10, 0],
    };
    const step = steps[event.key];
    if (!step || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    event.stopPropagation();
    const from = cursor ?? { row: 0, column: 0 };
    cursor = { row: clamp(from.row + step[0], 0, view.rows.length - 1), column: clamp(from.column + step[1], 0, view.columns.length - 1) };
    reveal(cursor);
    onPoint({ axis: "cell", ...cursor });
  });

  return {
    show, fit,
    layOut(cell) { layOut(cell); draw(); },
    light(next) { focus = next; draw(); },
    forget() { image = null; },
    get view() { return view; },
    get shape() { return shape; },
    get automatic() { return automaticCell(); },
    /** The whole map on a canvas of its own, `scale` pixels to one of the page's. */
    whole(scale, cell = shape.cell) {
      const made = element("canvas");
      const pen = made.getContext("2d");
      const own = measure(pen, cell);
      const [width, height] = [own.left + own.width + own.right, own.top + own.height + 2].map(Math.ceil);
      made.width = width * scale;
      made.height = height * scale;
      pen.setTransform(scale, 0, 0, scale, 0, 0);
      paint(pen, own, 0, 0, width, height, null);
      return { canvas: made, width, height };
    },
    /** The same measurements, for SVG. */
    measured: (cell) => measure(context, cell),
    colourOf,
  };
}
