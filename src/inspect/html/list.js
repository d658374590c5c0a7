// ---- The list of sentences: only the rows in sight are in the page. ----

const list = $("list");
const ROW = 54;

/** The sentences that the filter shows. */
let listed = upTo(count);

function listItem(index, place) {
  const { line, source, views } = sentenceAt(index);
  const item = element("li", {
    role: "option", id: `sentence-${index}`, "aria-selected": String(index === state.index),
    "aria-setsize": listed.length, "aria-posinset": place + 1, style: `top:${place * ROW}px`,
  });
  item.append(
    element("span", { class: "number" }, String(line)),
    element("span", { class: "source", dir: "auto" }, source),
    element("span", { class: "translation", dir: "auto" }, views[0].translation),
  );
  return item;
}

function drawList() {
  const first = Math.max(0, Math.floor(list.scrollTop / ROW) - 4);
  const last = Math.min(listed.length, Math.ceil((list.scrollTop + (list.clientHeight || 600)) / ROW) + 4);
  $("list-space").style.height = `${listed.length * ROW}px`;
  $("list-space").replaceChildren(...listed.slice(first, last).map((index, i) => listItem(index, first + i)));
  const selected = $(`sentence-${state.index}`);
  if (selected) list.setAttribute("aria-activedescendant", selected.id);
  else list.removeAttribute("aria-activedescendant");
}

/** Brings the selected sentence into sight. */
function revealSelected() {
  const place = listed.indexOf(state.index);
  if (place < 0 || !list.clientHeight) return;
  const top = place * ROW;
  if (top < list.scrollTop) list.scrollTop = top;
  else if (top + ROW > list.scrollTop + list.clientHeight) list.scrollTop = top + ROW - list.clientHeight;
}

function sayCount() {
  $("count").textContent = listed.length === count ? `${count} sentences` : `${listed.length} of ${count} sentences`;
  $("place").textContent = `${listed.indexOf(state.index) + 1 || "–"} of ${listed.length}`;
}

/** Moves by `step` among the sentences that the filter shows. */
function move(step) {
  if (!listed.length) return;
  const at = listed.indexOf(state.index);
  choose(listed[at < 0 ? 0 : clamp(at + step, 0, listed.length - 1)]);
}

function filter() {
  const wanted = $("filter").value.trim().toLocaleLowerCase();
  listed = upTo(count).filter((index) => {
    if (!wanted) return true;
    const { line, source, views } = sentenceAt(index);
    return [line, source, ...views.map((view) => view.translation)].join("\n").toLocaleLowerCase().includes(wanted);
  });
  list.scrollTop = 0;
  sayCount();
  drawList();
}

function listenToList() {
  list.addEventListener("scroll", drawList, { passive: true });
  list.addEventListener("click", (event) => {
    const item = event.target.closest("li");
    if (!item) return;
    choose(Number(item.id.slice("sentence-".length)));
    $("app").classList.remove("choosing");
  });
  $("filter").addEventListener("input", filter);
  $("filter").addEventListener("keydown", (event) => {
    if (event.key !== "ArrowDown" && event.key !== "Enter") return;
    event.preventDefault();
    if (listed.length && !listed.includes(state.index)) choose(listed[0]);
    list.focus();
  });
  for (const [id, step] of [["previous", -1], ["next", 1]]) $(id).addEventListener("click", () => move(step));
  $("choose").addEventListener("click", () => {
    const open = $("app").classList.toggle("choosing");
    $("choose").setAttribute("aria-expanded", String(open));
    drawList();
    revealSelected();
  });
}
