// Cards: an image with its boxes, the parts of the score of one entry, and the list of entries. No state of its own.

const SVG = "http://www.w3.org/2000/svg";
const STACK = ["missed", "wrong", "right"]; // drawn in this order: right ones on top

function element(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.append(...children);
  return made;
}

function shape(name, attributes) {
  const made = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  return made;
}

/** A card without entries; `fillCard` gives it some. */
function makeCard(record, index) {
  const image = record.images[index];
  const picture = element("img", { src: image.src, alt: "", width: image.width, height: image.height });
  const boxes = shape("svg", { viewBox: `0 0 ${image.width} ${image.height}`, class: "boxes", "aria-hidden": "true" });
  const frame = element("div", { class: "frame" });
  frame.append(picture, boxes);
  const card = element("article", { class: "card", "data-image": index, "aria-label": image.id });
  card.append(element("h3", {}, image.id), frame, element("div", { class: "readout" }), element("ol", { class: "entries" }));
  return card;
}

function fillCard(card, record, entries) {
  card.entries = entries;
  card.querySelector(".entries").replaceChildren(...entries.map((entry, row) => entryItem(record, entry, row)));
  card.querySelector(".boxes").replaceChildren(...pairGroups(entries, viewSize(card)));
  highlight(card, record, null);
}

function viewSize(card) {
  const { width, height } = card.querySelector(".boxes").viewBox.baseVal;
  return Math.max(width, height);
}

function entryItem(record, entry, row) {
  const [mark, name] = OUTCOMES[entry.outcome];
  const score = entry.score === null ? "" : formatScore(entry.score);
  const button = element("button", {
    type: "button", tabindex: "-1", class: `entry ${entry.outcome}`, "data-row": row, "data-pair": entry.pair,
    "aria-label": spoken(record, entry, name),
  });
  button.append(
    element("span", { class: "mark" }, mark),
    element("span", { class: "name" }, record.hois[entry.hoi] + (entry.repeated ? " (2nd)" : "")),
    element("span", { class: "score" }, score),
  );
  return element("li", {}, button);
}

function spoken(record, entry, name) {
  const factors = (entry.factors ?? []).map(([name, value]) => `${name} ${formatScore(value)}`);
  const score = entry.score === null ? [] : [`score ${formatScore(entry.score)}`];
  return [`${name}: ${record.hois[entry.hoi]}`, ...score, ...factors].join(", ");
}

/** One group per pair: line between the centers, object box, human box, each over a halo. */
function pairGroups(entries, size) {
  const pairs = new Map();
  for (const entry of entries) {
    const known = pairs.get(entry.pair);
    if (!known || STACK.indexOf(entry.outcome) > STACK.indexOf(known.outcome)) pairs.set(entry.pair, entry);
  }
  const stacked = [...pairs.values()].sort((one, other) => STACK.indexOf(one.outcome) - STACK.indexOf(other.outcome));
  return stacked.map((entry) => {
    const group = shape("g", { class: `pair ${entry.outcome}`, "data-pair": entry.pair });
    const shapes = pairShapes(entry.boxes, size / 160);
    for (const [name, attributes] of shapes) group.append(shape(name, { ...attributes, class: "halo" }));
    for (const [name, attributes] of shapes) group.append(shape(name, attributes));
    return group;
  });
}

function pairShapes([human, object], unit) {
  const middle = ([x1, y1, x2, y2]) => [(x1 + x2) / 2, (y1 + y2) / 2];
  const [[hx, hy], [ox, oy]] = [middle(human), middle(object)];
  const box = ([x1, y1, x2, y2], part) =>
    ["rect", { x: x1, y: y1, width: x2 - x1, height: y2 - y1, rx: unit, class: part }];
  return [
    ["line", { x1: hx, y1: hy, x2: ox, y2: oy, class: "link" }], box(object, "object"), box(human, "human"),
    ["circle", { cx: hx, cy: hy, r: 1.6 * unit, class: "end" }], ["circle", { cx: ox, cy: oy, r: 1.6 * unit, class: "end" }],
  ];
}

/** Mark one entry and its pair (null: none) and show its scores; without one, those of the first entry. */
function highlight(card, record, row) {
  const entry = row === null ? null : card.entries[row];
  card.classList.toggle("active", entry !== null);
  for (const item of card.querySelectorAll("[data-pair]")) {
    const own = entry !== null && item.dataset.pair === entry.pair;
    item.classList.toggle("on", item.matches(".entry") ? own && Number(item.dataset.row) === row : own);
    item.classList.toggle("same-pair", own && item.matches(".entry"));
  }
  const shown = entry ?? card.entries[0];
  if (shown) card.querySelector(".readout").replaceChildren(...readout(record, shown));
}

function readout(record, entry) {
  const [mark, name] = OUTCOMES[entry.outcome];
  const title = element("p", { class: `shown ${entry.outcome}` });
  title.append(
    element("span", { class: "mark" }, mark), element("b", {}, record.hois[entry.hoi]),
    element("span", { class: "score" }, entry.score === null ? "" : formatScore(entry.score)),
  );
  if (entry.factors === null) return [title, element("p", { class: "why" }, "annotated, and no detection at this score found it")];
  const bars = element("dl", { class: "parts" });
  entry.factors.forEach(([name, value]) => {
    const meter = element("i", { class: "meter" }, element("i"));
    meter.firstChild.style.width = `${100 * value}%`;
    const cell = element("div");
    cell.append(element("dt", {}, name), element("dd", {}, formatScore(value)), meter);
    bars.append(cell);
  });
  return [title, bars];
}
