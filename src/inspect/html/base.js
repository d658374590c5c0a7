// ---- What the page holds, what it shows, and small helpers. ----

const $ = (id) => document.getElementById(id);

function element(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.append(...children);
  return made;
}

const about = JSON.parse($("about").textContent);
const scripts = document.querySelectorAll("script.sentence");
const count = scripts.length;
/** The packed matrices of each line and kind. */
const packed = new Map();
for (const script of document.querySelectorAll("script.weights")) packed.set(`${script.dataset.line} ${script.dataset.kind}`, script);

/** The sentences that were asked for, parsed. */
const parsed = new Map();

/** { line, source, axes, views }: everything about one line but its weights. */
function sentenceAt(index) {
  if (!parsed.has(index)) parsed.set(index, JSON.parse(scripts[index].textContent));
  return parsed.get(index);
}

const KINDS = ["cross", "encoder", "decoder"];

/** What is shown. The address carries all of it. */
const state = {
  index: 0,
  view: 0,
  /** The view beside it, or null. */
  other: null,
  kind: "cross",
  /** Layer and head of each kind. */
  choices: Object.fromEntries(KINDS.map((kind) => [kind, { layer: "mean", head: "mean" }])),
  words: about.words,
  mask: about.mask,
  input: about.input,
  /** Steps of enlargement of the heat maps. */
  zoom: 0,
};

const upTo = (number) => Array.from({ length: number }, (_, i) => i);
const clamp = (value, least, most) => Math.max(least, Math.min(most, value));
const percent = (weight) => `${(weight * 100).toFixed(weight < 0.0995 && weight >= 0.0005 ? 1 : 0)}%`;
/** The positions of the largest weights first. */
const strongest = (weights) => upTo(weights.length).sort((a, b) => weights[b] - weights[a]);

// ---- Writing systems. ----

const RIGHT_TO_LEFT = /^[^\p{L}]*[\p{Script=Arabic}\p{Script=Hebrew}\p{Script=Syriac}\p{Script=Thaana}\p{Script=Nko}\p{Script=Adlam}]/u;
const isRightToLeft = (text) => RIGHT_TO_LEFT.test(text);

/** A label that stands alone: a mark that combines with what is before it gets something to sit on. */
const alone = (text) => (/^\p{M}/u.test(text) ? `\u25cc${text}` : text);

// ---- Colours: those of the style sheet, as numbers. ----

let palette = null;

/** { accent, warm, ground, paper, ink, soft, rule }, each [red, green, blue]. */
function colours() {
  if (palette) return palette;
  const probe = element("span");
  document.body.append(probe);
  const read = (name) => {
    probe.style.color = `var(--${name})`;
    return getComputedStyle(probe).color.match(/[\d.]+/g).slice(0, 3).map(Number);
  };
  palette = Object.fromEntries(["ground", "paper", "ink", "soft", "rule", "accent-colour", "warm-colour"].map((name) => [name.split("-")[0], read(name)]));
  probe.remove();
  return palette;
}

const css = (colour) => `rgb(${colour.map(Math.round).join(" ")})`;
const mix = (from, to, amount) => from.map((value, i) => value + (to[i] - value) * amount);
/** How strongly a weight is coloured: small weights can be told from none. */
const opacity = (weight) => Math.min(1, Math.abs(weight)) ** 0.75;

/** The relative luminance of WCAG 2. */
function luminance(colour) {
  const [red, green, blue] = colour.map((value) => (value <= 10 ? value / 3294 : ((value / 255 + 0.055) / 1.055) ** 2.4));
  return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
}

/** Black or white, whichever reads better on a colour: at least 4.5 to 1. */
const readableOn = (colour) => (luminance(colour) > 0.179 ? "#000000" : "#ffffff");
