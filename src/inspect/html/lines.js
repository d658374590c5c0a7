// ---- The two lines of text and the links between them. ----

/** Whether an entry begins with a space, and its text without it. */
function spaced(entry, words) {
  if (entry.word === null) return [true, entry.text];
  if (words) return [true, entry.text];
  const text = entry.text.replace(/^ /u, "");
  return [text !== entry.text, text];
}

/** What is drawn where a piece adds no character by itself. */
const unseen = (entry) => (entry.text === " " ? "␣" : "·");

/** The text of an entry where it stands alone, in a label or a table. */
function labelOf(entry) {
  if (entry.word === null) return entry.text;
  return alone(entry.text.trim()) || unseen(entry);
}

/** Fills a line with the entries of one axis. */
function fillLine(line, axis, entries, label, words, likelihood) {
  line.setAttribute("aria-label", label);
  line.dir = isRightToLeft(entries.filter((entry) => entry.word !== null).map((entry) => entry.text).join("")) ? "rtl" : "ltr";
  const made = document.createDocumentFragment();
  entries.forEach((entry, i) => {
    const [space, text] = spaced(entry, words);
    if (space && i) made.append(" ");
    const token = element("span", { role: "button", class: "token", "data-axis": axis, "data-i": i, tabindex: i ? "-1" : "0", "aria-pressed": "false" }, text || unseen(entry));
    const same = (other) => other !== undefined && entry.word !== null && entry.word === other.word;
    if (entry.word === null) token.classList.add("special");
    if (!text) {
      token.classList.add("special");
      token.title = entry.label;
      token.setAttribute("aria-label", entry.label);
    }
    token.classList.toggle("inside", same(entries[i - 1]));
    token.classList.toggle("joined", same(entries[i + 1]));
    const likely = likelihood?.(entry);
    if (likely) token.style.setProperty("--doubt", (1 - likely.probability).toFixed(3));
    made.append(token);
  });
  line.replaceChildren(made);
}

/** One line each where both fit, at 13 pixels at least; else two paragraphs. */
function fitLines(lines) {
  const [top, bottom] = lines.querySelectorAll(".line");
  // So many words are not measured: they do not fit.
  const many = Math.max(top.childElementCount, bottom.childElementCount) > 90;
  lines.classList.toggle("long", many);
  if (many) return;
  lines.style.setProperty("--token-size", "19px");
  const room = lines.clientWidth - 24;
  const wanted = Math.max(top.scrollWidth, bottom.scrollWidth);
  if (wanted <= room) return;
  const size = Math.floor((19 * room / wanted) * 2) / 2;
  lines.classList.toggle("long", size < 13);
  lines.style.setProperty("--token-size", `${Math.max(13, size)}px`);
}

function drawCurves(lines, view) {
  const svg = lines.querySelector(".curves");
  if (lines.classList.contains("long")) {
    svg.replaceChildren();
    return;
  }
  const origin = svg.getBoundingClientRect();
  const middles = (line) => [...line.querySelectorAll(".token")].map((token) => {
    const box = token.getBoundingClientRect();
    return box.left + box.width / 2 - origin.left;
  });
  const [tops, bottoms] = [...lines.querySelectorAll(".line")].map(middles);
  const height = svg.clientHeight;
  const links = [];
  view.rows.forEach((_, row) => view.columns.forEach((_, column) => {
    const weight = view.at(row, column);
    if (weight >= 0.04) links.push({ row, column, weight });
  }));
  links.sort((a, b) => a.weight - b.weight);
  svg.replaceChildren(...links.map(({ row, column, weight }) => {
    const path = document.createElementNS("http://www.w3.org/2000/svg", "path");
    const [x, y] = [tops[column].toFixed(1), bottoms[row].toFixed(1)];
    path.setAttribute("d", `M${x} 3C${x} ${height * 0.5} ${y} ${height * 0.5} ${y} ${height - 3}`);
    path.setAttribute("stroke-width", (0.75 + 2.75 * weight).toFixed(2));
    path.dataset.row = row;
    path.dataset.column = column;
    path.dataset.opacity = opacity(weight / view.full);
    path.style.opacity = opacity(weight / view.full) * 0.8;
    return path;
  }));
}

/** Lights what belongs to `focus` ({ axis, row, column } or null) in both lines. */
function lightLines(lines, view, focus, held) {
  // Nothing is lit and nothing was: the usual case when another picture is drawn.
  if (!focus && lines.dataset.lit !== "yes") return;
  lines.dataset.lit = focus ? "yes" : "no";
  const { paper, accent } = colours();
  const light = (line, axis) => {
    const own = focus && (focus.axis === axis || focus.axis === "cell");
    const other = focus && !own;
    const tokens = line.querySelectorAll(".token");
    const weights = other ? [...tokens].map((_, i) => (axis === "rows" ? view.at(i, focus.column) : view.at(focus.row, i))) : [];
    const best = weights.reduce((most, weight) => Math.max(most, weight), 0);
    tokens.forEach((token, i) => {
      const active = Boolean(own && i === (axis === "rows" ? focus.row : focus.column));
      const weight = other ? weights[i] : 0;
      token.classList.toggle("active", active);
      token.setAttribute("aria-pressed", String(Boolean(held) && active && held.axis === axis));
      token.classList.toggle("lit", Boolean(other && weight > 0 && (weight >= 0.15 || weight === best)));
      if (other && weight >= 0.004) {
        const shade = mix(paper, accent, opacity(weight / view.full) * 0.85);
        token.style.background = css(shade);
        token.style.color = readableOn(shade);
      } else {
        token.style.background = token.style.color = "";
      }
    });
  };
  const [top, bottom] = lines.querySelectorAll(".line");
  light(top, "columns");
  light(bottom, "rows");
  for (const path of lines.querySelector(".curves").children) {
    const [row, column] = [Number(path.dataset.row), Number(path.dataset.column)];
    const on = !focus || (focus.axis !== "columns" ? row === focus.row : true) && (focus.axis !== "rows" ? column === focus.column : true);
    path.style.opacity = on ? path.dataset.opacity * (focus ? 1 : 0.8) : 0.05;
  }
}

/** Arrow keys among the words of a line, and from one line to the other. */
function moveInLine(event) {
  const token = event.target.closest(".token");
  if (!token) return;
  const line = token.parentElement;
  const tokens = [...line.querySelectorAll(".token")];
  const at = tokens.indexOf(token);
  const to = (next) => {
    if (!next) return;
    for (const other of next.parentElement.querySelectorAll(".token[tabindex='0']")) other.tabIndex = -1;
    next.tabIndex = 0;
    next.focus();
    event.preventDefault();
  };
  const across = (other) => {
    const middle = (one) => one.getBoundingClientRect().left + one.offsetWidth / 2;
    const here = middle(token);
    to([...other.querySelectorAll(".token")].sort((a, b) => Math.abs(middle(a) - here) - Math.abs(middle(b) - here))[0]);
  };
  const onward = line.dir === "rtl" ? -1 : 1;
  if (event.key === "ArrowRight") to(tokens[at + onward]);
  else if (event.key === "ArrowLeft") to(tokens[at - onward]);
  else if (event.key === "Home") to(tokens[0]);
  else if (event.key === "End") to(tokens[tokens.length - 1]);
  else if (event.key === "ArrowDown" && line.classList.contains("top")) across(line.parentElement.querySelector(".bottom"));
  else if (event.key === "ArrowUp" && line.classList.contains("bottom")) across(line.parentElement.querySelector(".top"));
  else if (event.key === "Enter" || event.key === " ") {
    event.preventDefault();
    token.click();
  }
}
