"""The main numbers of a scored run: one line, and the file that DVC shows."""

from pipeline.evaluation import summary
from pipeline.evaluation.row import Row

VCOCO = {"ap_role_s1": 50.0, "ap_role_s2": 60.0, "ap_agent": 70.0}


def headline(roles, agents):
    per_role = {str(row): {"s1": ap, "s2": ap} for row, ap in enumerate(roles)}
    metrics = VCOCO | {"per_role": per_role, "per_agent": dict(enumerate(agents))}
    return Row(metrics=metrics, sweeps={}, source=None, evaluation=None).headline


def test_classes_without_positives_are_told():
    assert headline([50.0, None, 0.0], [70.0, None]).endswith("(1 roles, 1 actions without positives: 0 there)")
    assert headline([50.0, 50.0], [70.0, 0.0]) == "AP_role S1 50.00  S2 60.00  AP_agent 70.00"


def test_the_file_of_main_numbers_holds_scores_alone():
    metrics = {"setting": "default", "full": 30.0, "ours": None, "max_recall": 80.0, "counts": {"images": 7}}
    metrics |= {"groups": {"full": 40, "ours": 0}}
    assert summary.headline(metrics) == {"full": 30.0, "ours": None}
    assert list(summary.headline(metrics | VCOCO)) == [*VCOCO, "full", "ours"]
