// The page: controls, keyboard, the enlarged image, and the color theme.

const record = JSON.parse(document.getElementById("record").textContent);
const byId = (id) => document.getElementById(id);
const cards = record.images.map((_, index) => makeCard(record, index));
const state = {
  run: record.first, hoi: null, outcomes: new Set(Object.keys(OUTCOMES)), sort: "split", threshold: 1,
};
const thresholds = record.runs.map((run) => run.threshold); // scales differ: each variant keeps its own
let order = []; // indices of the images shown
let hovered = null; // [card, row]
let lastRow = 0; // focused last, in the gallery or enlarged

function render() {
  state.threshold = thresholds[state.run];
  const { images, counts } = view(record, state);
  order = images.map(({ index }) => index);
  images.forEach(({ index, entries }) => fillCard(cards[index], record, entries));
  byId("cards").replaceChildren(...order.map((index) => cards[index]));
  byId("nothing").hidden = order.length > 0;
  byId("threshold").value = placeOf(record.runs[state.run], state.threshold);
  byId("threshold").setAttribute("aria-valuetext", formatScore(state.threshold));
  byId("threshold-text").textContent = formatScore(state.threshold);
  for (const [outcome, count] of Object.entries(counts)) byId(`count-${outcome}`).textContent = count;
  byId("status").textContent = summary(counts);
  const [first] = byId("cards").querySelectorAll(".entry");
  if (first) first.tabIndex = 0; // one stop of the Tab key; arrows move on from there
}

function summary({ right, wrong, missed }) {
  const percent = (part, whole) => (whole ? `${(100 * part / whole).toFixed(1)} %` : "–");
  return `${order.length} of ${record.images.length} images: ${right} right, ${wrong} wrong, ${missed} missed; ` +
    `precision ${percent(right, right + wrong)}, recall ${percent(right, right + missed)} at this score`;
}

function buildControls() {
  record.runs.forEach((run, index) => byId("variants").append(choice("radio", "variant", run.name, index === state.run, () => {
    state.run = index;
    render();
  })));
  byId("hoi").append(element("option", { value: "" }, "all classes"));
  for (const hoi of classesShown(record)) byId("hoi").append(element("option", { value: hoi }, record.hois[hoi]));
  for (const [outcome, [mark, name]] of Object.entries(OUTCOMES)) {
    const label = choice("checkbox", outcome, `${mark} ${name} `, true, (checked) => {
      if (checked) state.outcomes.add(outcome); else state.outcomes.delete(outcome);
      render();
    });
    label.classList.add(outcome);
    label.append(element("span", { id: `count-${outcome}`, class: "count" }));
    byId("outcomes").append(label);
  }
}

function choice(type, name, text, checked, changed) {
  const input = element("input", { type, name, value: text.trim() });
  input.checked = checked;
  input.addEventListener("change", () => changed(input.checked));
  return element("label", {}, input, text);
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
  if (hovered && hovered[0] !== found?.[0]) highlight(hovered[0], record, null);
  hovered = found;
  if (found) highlight(found[0], record, found[1]);
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

// Keyboard: up and down move among the detections of an image, left and right among images.

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
  const next = order[order.indexOf(Number(card.dataset.image)) + step];
  if (next === undefined) return;
  if (byId("detail").open) showDetail(next, 0); else focusEntry(cards[next], 0);
});

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
  const card = makeCard(record, index);
  byId("detail-body").replaceChildren(card);
  fillCard(card, record, cards[index].entries);
  focusEntry(card, row);
}

byId("close").addEventListener("click", () => byId("detail").close());
byId("detail").addEventListener("click", (event) => { if (event.target === byId("detail")) byId("detail").close(); });
byId("detail").addEventListener("close", () => {
  const card = byId("detail-body").querySelector(".card");
  byId("detail-body").replaceChildren();
  if (card) focusEntry(cards[Number(card.dataset.image)], lastRow);
});

// Colors: the system's, until the reader chooses.

const THEMES = { system: ["◐ System", "as the system"], light: ["☀ Light", "light"], dark: ["☾ Dark", "dark"] };

function setTheme(theme) {
  if (theme === "system") delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = theme;
  byId("theme").textContent = THEMES[theme][0];
  byId("theme").setAttribute("aria-label", `Colors: ${THEMES[theme][1]}`);
}

byId("theme").addEventListener("click", () => {
  const names = Object.keys(THEMES);
  setTheme(names[(names.indexOf(document.documentElement.dataset.theme ?? "system") + 1) % names.length]);
});

byId("hoi").addEventListener("change", (event) => {
  state.hoi = event.target.value === "" ? null : Number(event.target.value);
  render();
});
byId("sort").addEventListener("change", (event) => { state.sort = event.target.value; render(); });
byId("threshold").addEventListener("input", (event) => {
  thresholds[state.run] = thresholdAt(record.runs[state.run], Number(event.target.value));
  render();
});
byId("break-even").addEventListener("click", () => {
  thresholds[state.run] = record.runs[state.run].threshold;
  render();
});
byId("controls").addEventListener("submit", (event) => event.preventDefault());
buildControls();
render();
