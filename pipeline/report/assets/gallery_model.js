"use strict";
// What the gallery shows: plain values and functions of them, no page. The record is described in gallery.py.

const OUTCOMES = { right: ["✓", "Right"], wrong: ["✗", "Wrong"], missed: ["–", "Missed"] };
const [RIGHT_VERDICT, REPEATED_VERDICT] = [1, 2];

/** All entries of one image at a threshold: detections by falling score, then annotated pairs that none of them found.
 *  Raising a threshold cuts a ranking short, so that verdicts above it stay as they were evaluated. */
function entriesOf(record, run, index, threshold) {
  const claimed = new Set();
  const entries = [];
  run.found[index].forEach((pair, pairIndex) => {
    for (const [hoi, score, factors, verdict, annotation] of pair.rows) {
      if (score < threshold) continue;
      if (verdict === RIGHT_VERDICT) claimed.add(annotation);
      entries.push({
        outcome: verdict === RIGHT_VERDICT ? "right" : "wrong",
        repeated: verdict === REPEATED_VERDICT,
        hoi, score, factors: factors.map((value, place) => [run.factors[place], value]),
        boxes: pair.boxes, pair: `d${pairIndex}`,
      });
    }
  });
  entries.sort((one, other) => other.score - one.score);
  record.images[index].truth.forEach(([hoi, human, object], annotation) => {
    if (claimed.has(annotation)) return;
    entries.push({
      outcome: "missed", repeated: false, hoi, score: null, factors: null,
      boxes: [human, object], pair: `m${[human, object].join()}`,
    });
  });
  return entries;
}

/** Images with the entries that pass the filters, sorted; and how many entries of each outcome pass the class filter. */
function view(record, state) {
  const run = record.runs[state.run];
  const counts = { right: 0, wrong: 0, missed: 0 };
  const images = [];
  record.images.forEach((image, index) => {
    const ofClass = entriesOf(record, run, index, state.threshold)
      .filter((entry) => state.hoi === null || entry.hoi === state.hoi);
    ofClass.forEach((entry) => { counts[entry.outcome] += 1; });
    const entries = ofClass.filter((entry) => state.outcomes.has(entry.outcome));
    if (entries.length) images.push({ index, entries });
  });
  const best = ({ entries }) => entries[0].score ?? -1;
  const mistakes = ({ entries }) => entries.filter((entry) => entry.outcome !== "right").length;
  const orders = {
    split: () => 0,
    highest: (one, other) => best(other) - best(one),
    lowest: (one, other) => lowest(one) - lowest(other),
    mistakes: (one, other) => mistakes(other) - mistakes(one),
  };
  return { images: images.sort(orders[state.sort]), counts };
}

/** Lowest score among an image's entries; images of missed pairs alone come last. */
function lowest({ entries }) {
  const scores = entries.filter((entry) => entry.score !== null).map((entry) => entry.score);
  return scores.length ? Math.min(...scores) : Infinity;
}

/** Classes with an annotation or a detection on these images, by name. */
function classesShown(record) {
  const shown = new Set();
  record.images.forEach((image) => image.truth.forEach(([hoi]) => shown.add(hoi)));
  for (const run of record.runs) {
    for (const pairs of run.found) for (const pair of pairs) for (const [hoi] of pair.rows) shown.add(hoi);
  }
  return [...shown].sort((one, other) => (record.hois[one] < record.hois[other] ? -1 : 1));
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
