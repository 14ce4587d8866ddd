from __future__ import annotations

import numpy as np

from pipeline.core.vocabulary import Vocabulary
from pipeline.evaluation.error_types import BACKGROUND, ERROR_TYPES, MISSED_TYPES, RIGHT, WRONG_VERB
from pipeline.evaluation.fusion import Factors
from pipeline.report.colors import ERRORS
from pipeline.report.error_view import Confusions, confusion_html, count_confusions, error_bars, what_changed
from pipeline.report.selection import Findings
from tests.evaluation.worlds import detections, ground_truth
from tests.report.test_study import run_metrics

VOCABULARY = Vocabulary(
    objects=("person", "horse", "cup"), verbs=("ride", "feed", "hold"), hoi_classes=((0, 1), (1, 1), (2, 1), (2, 2))
)
RIDE, FEED, HOLD, HOLD_CUP = range(4)
PERSON, HORSE, AWAY = (0, 0, 8, 8), (10, 0, 18, 8), (40, 0, 48, 8)


def errors(**counts: int):
    every = dict.fromkeys((*ERROR_TYPES, *MISSED_TYPES), 0) | counts
    return run_metrics("any", {}, at_break_even=every, gain_if_fixed={"wrong_verb": 3.405, "background": None})


def test_verbs_are_confused_with_each_verb_of_the_annotated_pair():
    truth = ground_truth([(0, RIDE, PERSON, HORSE), (0, FEED, PERSON, HORSE), (0, HOLD_CUP, PERSON, HORSE)], 1)
    rows = [
        (0, RIDE, PERSON, HORSE, 0.9),  # right
        (0, HOLD, PERSON, HORSE, 0.8),  # the pair is ridden and fed; what is held is a cup
        (0, HOLD, PERSON, AWAY, 0.7),  # background
    ]
    kinds = np.array([RIGHT, WRONG_VERB, BACKGROUND], np.int8)
    best = Findings(detections(rows), kinds, np.array([0, -1, -1], np.int32), Factors({}, {}))
    confusions = count_confusions(best, truth, VOCABULARY)
    assert confusions.counts.tolist() == [[1, 0, 1], [0, 0, 1], [0, 0, 0]]
    assert confusions.verbs == VOCABULARY.verbs


def test_of_many_verbs_those_that_are_confused_most_are_shown():
    counts = np.diag(np.full(30, 9))
    counts[3, 28] = 4
    html = confusion_html(Confusions(counts, tuple(f"verb_{place} <" for place in range(30))))
    assert html.count('<th scope="row">') == 20 and "verb 28 &lt;" in html and "verb 19" not in html
    assert 'var(--error-wrong_verb) 26%,transparent)">4</td>' in html  # 85 x 4 / 13
    assert 'var(--error-right) 59%,transparent)">9</td>' in html


def test_what_changed_names_frequent_errors_first():
    runs = {
        "ours": errors(right=857, wrong_verb=122, background=151),
        "baseline": errors(right=734, wrong_verb=97, background=271, duplicate=0),
    }
    assert what_changed(runs, "ours", "baseline") == (
        "From baseline to ours, of 1,130 detections at break-even: right 734 to 857 (+17 %), background 271 to 151 "
        "(-44 %), wrong verb 97 to 122 (+26 %)."
    )
    assert what_changed(runs, "ours", None).startswith("In ours, of 1,130 detections at break-even: right 857, backg")


def test_a_variant_has_a_bar_of_its_detections_and_one_of_the_annotated_pairs():
    html = error_bars({"a<b": errors(right=5, wrong_verb=3, no_proposal_pair=2)}, "a<b")
    assert html.count('<div class="bar">') == 2 and "a&lt;b" in html and "a<b" not in html
    assert html.count("flex-grow:5;background:var(--error-right)") == 2  # found pairs are right detections
    assert 'title="no proposal pair: 2"' in html and "<td>3</td><td>3.40</td>" in html
    assert tuple(ERRORS) == (*ERROR_TYPES, *MISSED_TYPES)
