// The gallery and its filters, the enlarged image, the sortable table of classes; after page.js. gallery.py describes the record.
// The address holds every choice as #SECTION?name=value&..., so that a link shows the same.

const record = JSON.parse(document.getElementById("record").textContent);
const OUTCOMES = { right: ["✓", "Right"], wrong: ["✗", "Wrong"], missed: ["–", "Missed"] };
const STACK = ["missed", "wrong", "right"]; // boxes are drawn in this order: right ones on top
const SVG = "http://www.w3.org/2000/svg";
const narrow = matchMedia("(max-width: 640px)");

const defaults = () => ({
  section: "", run: record.first, beside: null, change: "", hoi: null, outcomes: new Set(Object.keys(OUTCOMES)),
  sort: "", page: 0, order: "", thresholds: record.runs.map((run) => run.threshold), // scales differ: each variant keeps its own
});
let state = defaults();
let shown = []; // all images that pass the filters: { index, panes }
let hovered = null; // [card, row]
let lastRow = 0; // focused last, in the gallery or enlarged

// What passes the filters.

/** Entries of one image: detections by falling score, then annotated pairs that none of them found.
 *  Raising a threshold cuts a ranking short, so that verdicts above it stay as they were evaluated. */
function entriesOf(runIndex, index) {
  const run = record.runs[runIndex];
  const found = new Set();
  const entries = [];
  run.found[index].forEach((pair, place) => {
    for (const [hoi, score, factors, type, annotation] of pair.rows) {
      if (score < state.thresholds[runIndex]) continue;
      const right = type === 0;
      if (right) found.add(annotation);
      entries.push({
        outcome: right ? "right" : "wrong", error: right ? "" : record.errors[type], hoi, score, annotation: right ? annotation : null,
        factors: factors.map((value, factor) => [run.factors[factor], value]), boxes: pair.boxes, pair: `d${place}`,
      });
    }
  });
  entries.sort((one, other) => other.score - one.score);
  record.images[index].truth.forEach(([hoi, human, object], annotation) => {
    if (found.has(annotation)) return;
    entries.push({ outcome: "missed", error: "", hoi, score: null, annotation, factors: [], boxes: [human, object], pair: `m${[human, object]}` });
  });
  return entries;
}

/** Entries of the variant, after those of the one beside it, if any; then annotated pairs are marked as fixed or broken. */
function panesOf(index) {
  const panes = (state.beside === null ? [state.run] : [state.beside, state.run]).map((run) => entriesOf(run, index));
  const [before, now] = panes.map((entries) => new Set(entries.filter((entry) => entry.outcome === "right").map((entry) => entry.annotation)));
  panes.forEach((entries, pane) => entries.forEach((entry) => {
    entry.pane = pane;
    entry.pair = `${pane}${entry.pair}`;
    if (!now || entry.annotation === null || before.has(entry.annotation) === now.has(entry.annotation)) return;
    entry.change = now.has(entry.annotation) ? "fixed" : "broken";
  }));
  return panes.map((entries) => entries.filter((entry) => state.hoi === null || entry.hoi === state.hoi));
}

/** Images that pass the filters, sorted, and counts of the variant's entries on all images that pass but for the outcomes. */
function filtered() {
  const counts = { right: 0, wrong: 0, missed: 0, fixed: 0, broken: 0 };
  const images = [];
  record.images.forEach((image, index) => {
    const panes = panesOf(index);
    if (state.change && !panes.flat().some((entry) => entry.change === state.change)) return;
    for (const entry of panes.at(-1)) {
      counts[entry.outcome] += 1;
      if (entry.change) counts[entry.change] += 1;
    }
    const kept = panes.map((entries) => entries.filter((entry) => state.outcomes.has(entry.outcome)));
    if (kept.some((entries) => entries.length)) images.push({ index, panes: kept, own: kept.at(-1) });
  });
  const scores = ({ own }) => own.filter((entry) => entry.score !== null).map((entry) => entry.score);
  const mistakes = ({ own }) => own.filter((entry) => entry.outcome !== "right").length;
  const orders = {
    highest: (one, other) => Math.max(-1, ...scores(other)) - Math.max(-1, ...scores(one)),
    lowest: (one, other) => Math.min(2, ...scores(one)) - Math.min(2, ...scores(other)),
    mistakes: (one, other) => mistakes(other) - mistakes(one),
  };
  return [orders[state.sort] ? images.sort(orders[state.sort]) : images, counts];
}

/** The slider runs over the logarithm of the score, from the run's floor (0) to 1 (1000). */
function thresholdAt(run, place) {
  return place <= 0 ? run.floor : Math.max(run.floor, Math.min(run.floor, 1) ** (1 - place / 1000));
}

function placeOf(run, threshold) {
  const floor = Math.log(Math.max(Math.min(run.floor, 1), 1e-300));
  return floor === 0 ? 0 : Math.round(1000 * (1 - Math.log(Math.max(threshold, 1e-300)) / floor));
}

/** Two decimals, or two significant digits where those would say too little. */
function formatScore(score) {
  if (score >= 0.1 || score === 0) return score.toFixed(2);
  return score >= 1e-4 ? score.toPrecision(2) : score.toExponential(1);
}

// The address.

function save(section) {
  if (section) state.section = section;
  const query = new URLSearchParams();
  const put = (name, value, isDefault) => { if (!isDefault) query.set(name, value); };
  put("variant", record.runs[state.run].name, state.run === record.first);
  put("beside", record.runs[state.beside]?.name, state.beside === null);
  put("change", state.change, !state.change);
  put("class", record.hois[state.hoi], state.hoi === null);
  put("show", [...state.outcomes], state.outcomes.size === 3);
  put("sort", state.sort, !state.sort);
  put("page", state.page + 1, !state.page);
  put("order", state.order, !state.order);
  record.runs.forEach(({ name, threshold }, run) => put(`score.${name}`, state.thresholds[run], state.thresholds[run] === threshold));
  const text = query.toString();
  history.replaceState(null, "", `#${state.section}${text && "?"}${text}`);
}

/** State of an address; what it does not know or cannot read is as at the start. */
function load() {
  const [section, text = ""] = location.hash.slice(1).split(/\?(.*)/s);
  const query = new URLSearchParams(text);
  const placeIn = (names, name) => (names.includes(query.get(name)) ? names.indexOf(query.get(name)) : null);
  const names = record.runs.map((run) => run.name);
  state = Object.assign(defaults(), {
    section, beside: placeIn(names, "beside"), hoi: placeIn(record.hois, "class"), order: query.get("order") ?? "",
    change: query.get("change") ?? "", sort: query.get("sort") ?? "", page: Math.max(0, (parseInt(query.get("page"), 10) || 1) - 1),
  });
  state.run = placeIn(names, "variant") ?? state.run;
  if (state.beside === state.run) state.beside = null;
  if (query.has("show")) state.outcomes = new Set(query.get("show").split(",").filter((name) => name in OUTCOMES));
  names.forEach((name, run) => { state.thresholds[run] = parseFloat(query.get(`score.${name}`)) || state.thresholds[run]; });
}

function loadAndShow() {
  load();
  sortClasses();
  render();
  if (location.hash.includes("?")) byId(state.section)?.scrollIntoView({ behavior: "instant" }); // else the browser does it
}

// Drawing.

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

function render() {
  if (state.beside === null) state.change = "";
  const [images, counts] = filtered();
  const size = narrow.matches ? 4 : 12; // images a page
  const pages = Math.max(1, Math.ceil(images.length / size));
  shown = images;
  state.page = Math.min(state.page, pages - 1);
  const page = images.slice(state.page * size, (state.page + 1) * size);
  byId("cards").replaceChildren(...page.map(({ index, panes }) => makeCard(index, panes)));
  byId("cards").classList.toggle("two", state.beside !== null);
  byId("page-text").textContent = `page ${state.page + 1} of ${pages}`;
  byId("previous").disabled = state.page === 0;
  byId("next").disabled = state.page === pages - 1;
  document.querySelector(".pager").hidden = pages === 1;

  const run = record.runs[state.run];
  const threshold = state.thresholds[state.run];
  byId("threshold").value = placeOf(run, threshold);
  byId("threshold").setAttribute("aria-valuetext", formatScore(threshold));
  byId("threshold-text").textContent = formatScore(threshold);
  byId("change-field").hidden = state.beside === null;
  for (const [name, value] of [["beside", state.beside], ["change", state.change], ["hoi", state.hoi], ["sort", state.sort]]) byId(name).value = value ?? "";
  for (const option of byId("beside").options) option.disabled = option.value === String(state.run);
  for (const input of document.querySelectorAll("#variants input")) input.checked = input.value === run.name;
  for (const input of document.querySelectorAll("#outcomes input")) input.checked = state.outcomes.has(input.name);
  for (const outcome of Object.keys(OUTCOMES)) byId(`count-${outcome}`).textContent = counts[outcome];
  for (const row of document.querySelectorAll("#class-table tbody tr")) row.classList.toggle("chosen", row.querySelector("button").dataset.hoi === String(state.hoi));
  byId("status").textContent = summary(counts);
  const first = document.querySelector("#cards .entry");
  if (first) first.tabIndex = 0; // one stop of the Tab key; arrows move on from there
}

function summary(counts) {
  const listed = (names) => names.map((name) => `${counts[name]} ${name}`).join(", ");
  const of = `${shown.length} of ${record.images.length} images`;
  const [on, off] = [true, false].map((is) => Object.keys(OUTCOMES).filter((name) => state.outcomes.has(name) === is));
  const hidden = off.some((name) => counts[name]) ? `; hidden: ${listed(off)}` : "";
  if (!shown.length) return `Nothing to show, ${of}${hidden}. Choose another class, show more, or lower the score.`;
  const percent = (part, whole) => (whole ? `${(100 * part / whole).toFixed(1)} %` : "–");
  const { right, wrong, missed } = counts;
  const rates = `; precision ${percent(right, right + wrong)}, recall ${percent(right, right + missed)} at this score`;
  const changes = state.beside === null ? "" : `; ${listed(["fixed", "broken"])} beside ${record.runs[state.beside].name}`;
  return `${of}: ${listed(on)}${hidden}${changes}${off.length || state.change ? "" : rates}`;
}

function makeCard(index, panes) {
  const image = record.images[index];
  const card = element("article", { class: panes.length > 1 ? "card two" : "card", "data-image": index, "aria-label": image.id }, element("h3", {}, image.id));
  card.entries = panes.flat();
  panes.forEach((entries, pane) => {
    const boxes = shape("svg", { viewBox: `0 0 ${image.width} ${image.height}`, class: "boxes", "aria-hidden": "true" });
    boxes.append(...pairGroups(entries, Math.max(image.width, image.height)));
    const frame = element("div", { class: "frame" });
    frame.append(element("img", { src: image.src, alt: "", width: image.width, height: image.height }), boxes);
    const items = entries.map((entry) => element("li", {}, entryButton(entry, card.entries.indexOf(entry))));
    const part = element("div", { class: "pane" }, frame, element("div", { class: "readout" }), element("ol", { class: "entries" }, ...items));
    if (panes.length > 1) part.prepend(element("h4", {}, record.runs[pane ? state.run : state.beside].name));
    card.append(part);
  });
  highlight(card, null);
  return card;
}

function entryButton(entry, row) {
  const [mark, name] = OUTCOMES[entry.outcome];
  const notes = [entry.error, entry.change].filter(Boolean);
  const factors = entry.factors.map(([factor, value]) => `${factor} ${formatScore(value)}`);
  const spoken = [`${name}: ${record.hois[entry.hoi]}`, ...notes, ...(entry.score === null ? [] : [`score ${formatScore(entry.score)}`]), ...factors];
  return element(
    "button",
    { type: "button", tabindex: "-1", class: `entry ${entry.outcome}`, "data-row": row, "data-pair": entry.pair, "aria-label": spoken.join(", ") },
    element("span", { class: "mark" }, mark), element("span", { class: "name" }, record.hois[entry.hoi]),
    ...notes.map((note) => element("span", { class: "kind" }, note)),
    element("span", { class: "score" }, entry.score === null ? "" : formatScore(entry.score)),
  );
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
  const box = ([x1, y1, x2, y2], part) => ["rect", { x: x1, y: y1, width: x2 - x1, height: y2 - y1, rx: unit, class: part }];
  return [
    ["line", { x1: hx, y1: hy, x2: ox, y2: oy, class: "link" }], box(object, "object"), box(human, "human"),
    ["circle", { cx: hx, cy: hy, r: 1.6 * unit, class: "end" }], ["circle", { cx: ox, cy: oy, r: 1.6 * unit, class: "end" }],
  ];
}

/** Mark one entry and its pair (null: none) and show its scores; without one, those of the first entry. */
function highlight(card, row) {
  const entry = row === null ? null : card.entries[row];
  card.classList.toggle("active", entry !== null);
  for (const item of card.querySelectorAll("[data-pair]")) {
    const own = entry !== null && item.dataset.pair === entry.pair;
    item.classList.toggle("on", item.matches(".entry") ? own && Number(item.dataset.row) === row : own);
    item.classList.toggle("same-pair", own && item.matches(".entry"));
  }
  card.querySelectorAll(".pane").forEach((part, pane) => {
    const read = entry?.pane === pane ? entry : card.entries.find((other) => other.pane === pane);
    part.querySelector(".readout").replaceChildren(...(read ? readout(read) : []));
  });
}

function readout(entry) {
  const title = element(
    "p", { class: `shown ${entry.outcome}` }, element("span", { class: "mark" }, OUTCOMES[entry.outcome][0]), element("b", {}, record.hois[entry.hoi]),
    element("span", { class: "score" }, entry.score === null ? "" : formatScore(entry.score)),
  );
  if (entry.score === null) return [title, element("p", { class: "why" }, "annotated, and no detection at this score found it")];
  const parts = entry.factors.map(([name, value]) => {
    const meter = element("i", { class: "meter" }, element("i"));
    meter.firstChild.style.width = `${100 * value}%`;
    return element("div", {}, element("dt", {}, name), element("dd", {}, formatScore(value)), meter);
  });
  return [title, element("dl", { class: "parts" }, ...parts)];
}

// Controls. Every choice goes to the first page of the gallery.

function choose(changes) {
  Object.assign(state, { page: 0 }, changes);
  render();
  save("gallery");
}

function choice(type, name, text, changed) {
  const input = element("input", { type, name, value: text.trim() });
  input.addEventListener("change", () => changed(input.checked));
  return element("label", {}, input, text);
}

function buildControls() {
  record.runs.forEach(({ name }, run) => {
    byId("variants").append(choice("radio", "variant", name, () => choose({ run, beside: state.beside === run ? null : state.beside })));
    byId("beside").append(element("option", { value: run }, name));
  });
  const classes = new Set(record.images.flatMap((image) => image.truth.map(([hoi]) => hoi)));
  for (const run of record.runs) run.found.flat().forEach((pair) => pair.rows.forEach(([hoi]) => classes.add(hoi)));
  const byName = [...classes].sort((one, other) => (record.hois[one] < record.hois[other] ? -1 : 1));
  for (const hoi of byName) byId("hoi").append(element("option", { value: hoi }, record.hois[hoi]));
  for (const [outcome, [mark, name]] of Object.entries(OUTCOMES)) {
    const label = choice("checkbox", outcome, `${mark} ${name} `, (checked) => {
      const outcomes = new Set(state.outcomes);
      if (checked) outcomes.add(outcome); else outcomes.delete(outcome);
      choose({ outcomes });
    });
    label.classList.add(outcome);
    label.append(element("span", { id: `count-${outcome}`, class: "count" }));
    byId("outcomes").append(label);
  }
  const number = (text) => (text === "" ? null : Number(text));
  byId("beside").addEventListener("change", (event) => choose({ beside: number(event.target.value) }));
  byId("hoi").addEventListener("change", (event) => choose({ hoi: number(event.target.value) }));
  byId("change").addEventListener("change", (event) => choose({ change: event.target.value }));
  byId("sort").addEventListener("change", (event) => choose({ sort: event.target.value }));
  const threshold = (value) => choose({ thresholds: state.thresholds.with(state.run, value) });
  byId("threshold").addEventListener("input", (event) => threshold(thresholdAt(record.runs[state.run], Number(event.target.value))));
  byId("break-even").addEventListener("click", () => threshold(record.runs[state.run].threshold));
  byId("controls").addEventListener("submit", (event) => event.preventDefault());
  for (const [id, step] of [["previous", -1], ["next", 1]]) {
    byId(id).addEventListener("click", () => {
      choose({ page: state.page + step });
      byId("controls").scrollIntoView();
    });
  }
  narrow.addEventListener("change", render);
}

// The class table: sorted by a column's numbers, or names; cells without a number come last. Names filter the gallery.

function sortClasses() {
  const table = byId("class-table");
  if (!table) return;
  const column = Math.abs(parseInt(state.order, 10)) || 0;
  const sign = state.order.startsWith("-") ? -1 : 1;
  const value = (row) => {
    const text = row.cells[column]?.textContent ?? "";
    return column ? parseFloat(text.replaceAll(",", "")) : Number(row.querySelector("button").dataset.hoi);
  };
  const rows = [...table.tBodies[0].rows].sort((one, other) => {
    const [first, second] = [value(one), value(other)];
    if (Number.isNaN(first) || Number.isNaN(second)) return Number.isNaN(first) - Number.isNaN(second);
    return sign * (first - second);
  });
  table.tBodies[0].append(...rows);
  [...table.tHead.rows[0].cells].forEach((cell, place) => {
    cell.ariaSort = state.order && place === column ? (sign > 0 ? "ascending" : "descending") : "none";
  });
}

function buildClassTable() {
  const table = byId("class-table");
  if (!table) return;
  [...table.tHead.rows[0].cells].forEach((cell, column) => {
    const button = element("button", { type: "button" }, ...cell.childNodes);
    button.addEventListener("click", () => { // largest numbers first, then smallest; names: the vocabulary's order
      state.order = column === 0 ? "" : state.order === `-${column}` ? `${column}` : `-${column}`;
      sortClasses();
      save("classes");
    });
    cell.replaceChildren(button);
  });
  table.tBodies[0].addEventListener("click", (event) => {
    const button = event.target.closest("button");
    if (!button) return;
    choose({ hoi: Number(button.dataset.hoi) });
    byId("gallery").scrollIntoView();
  });
}

// Pairs: pointing at an entry or a box, or focusing an entry, highlights it.

function entryUnder(target) {
  const card = target.closest?.(".card");
  if (!card) return null;
  const entry = target.closest(".entry");
  if (entry) return [card, Number(entry.dataset.row)];
  const pair = target.closest(".pair");
  return pair ? [card, card.entries.findIndex((item) => item.pair === pair.dataset.pair)] : null;
}

function pointAt(found) {
  if (hovered && hovered[0] !== found?.[0]) highlight(hovered[0], null);
  hovered = found;
  if (found) highlight(found[0], found[1]);
}

document.addEventListener("pointerover", (event) => {
  const focused = document.activeElement?.closest(".card .entry");
  pointAt(entryUnder(event.target) ?? (focused ? entryUnder(focused) : null));
});
document.addEventListener("focusin", (event) => pointAt(entryUnder(event.target)));
document.addEventListener("focusout", () => pointAt(null));
document.addEventListener("click", (event) => {
  const found = entryUnder(event.target) ?? (event.target.closest?.(".frame") ? [event.target.closest(".card"), 0] : null);
  if (found && !byId("detail").open) openDetail(Number(found[0].dataset.image), found[1]);
  else if (found) found[0].querySelector(`[data-row="${found[1]}"]`)?.focus();
});

// Keyboard: up and down move among the detections of an image, left and right among images, to the next page if need be.

document.addEventListener("keydown", (event) => {
  const entry = event.target.closest?.(".entry");
  const step = { ArrowUp: -1, ArrowDown: 1, ArrowLeft: -1, ArrowRight: 1 }[event.key];
  if (!entry || !step || event.ctrlKey || event.metaKey || event.altKey) return;
  event.preventDefault();
  const card = entry.closest(".card");
  if (event.key === "ArrowUp" || event.key === "ArrowDown") {
    focusEntry(card, Number(entry.dataset.row) + step);
    return;
  }
  const next = shown[shown.findIndex(({ index }) => index === Number(card.dataset.image)) + step]?.index;
  if (next === undefined) return;
  if (!cardOf(next)) choose({ page: state.page + step });
  if (byId("detail").open) showDetail(next, 0); else focusEntry(cardOf(next), 0);
});

function cardOf(index) {
  return document.querySelector(`#cards [data-image="${index}"]`);
}

function focusEntry(card, row) {
  const entry = card.querySelector(`[data-row="${row}"]`);
  if (!entry) return;
  for (const other of document.querySelectorAll('.entry[tabindex="0"]')) other.tabIndex = -1;
  entry.tabIndex = 0;
  entry.focus();
  lastRow = row;
}

// The enlarged image: a card of its own with the same entries.

function openDetail(index, row) {
  byId("detail").showModal();
  showDetail(index, row);
}

function showDetail(index, row) {
  const card = makeCard(index, shown.find((image) => image.index === index).panes);
  byId("detail-body").replaceChildren(card);
  focusEntry(card, row);
}

byId("close").addEventListener("click", () => byId("detail").close());
byId("detail").addEventListener("click", (event) => { if (event.target === byId("detail")) byId("detail").close(); });
byId("detail").addEventListener("close", () => {
  const card = byId("detail-body").querySelector(".card");
  byId("detail-body").replaceChildren();
  if (card) focusEntry(cardOf(card.dataset.image), lastRow);
});

buildControls();
buildClassTable();
loadAndShow();
addEventListener("hashchange", () => {
  if (location.hash.includes("?")) loadAndShow(); else save(location.hash.slice(1) || state.section); // a link within the page
});
