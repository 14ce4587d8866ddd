from __future__ import annotations

import csv
import json
from collections import Counter

import numpy as np
import pytest

from pipeline.core.errors import DataError, ParamError
from pipeline.core.vocabulary import Vocabulary
from pipeline.data.class_splits import class_split
from tests.conftest import ROOT

PUBLISHED = ROOT.parent / "shared" / "zero_shot_splits.json"
TOYWORLD = Vocabulary.from_json(json.loads((ROOT / "manifests/toyworld/vocabulary.json").read_text()))
UNSEEN = {"rf_uc": 8, "nf_uc": 8, "uo": 6, "uv": 6}


def seen_parts(vocabulary, unseen) -> tuple[set[str], set[str]]:
    """Verbs and objects that some seen class has."""
    seen = [vocabulary.hoi_classes[row] for row in np.flatnonzero(~unseen)]
    return {vocabulary.verbs[verb] for verb, _ in seen}, {vocabulary.objects[obj] for _, obj in seen}


def test_the_toyworlds_splits_leave_seen_what_their_names_say():
    """Unseen combinations: every verb and object stays seen; unseen object or verb: all others do."""
    objects = set(TOYWORLD.objects) - {"person"}
    lost = {"rf_uc": (set(), set()), "nf_uc": (set(), set()), "uo": (set(), {"dog"}), "uv": ({"lift", "pet"}, set())}
    for name, (verbs_lost, objects_lost) in lost.items():
        unseen = class_split(name, TOYWORLD).unseen
        assert unseen.sum() == UNSEEN[name]
        assert seen_parts(TOYWORLD, unseen) == (set(TOYWORLD.verbs) - verbs_lost, objects - objects_lost)


@pytest.mark.parametrize(("name", "sign"), [("rf_uc", 1), ("nf_uc", -1)])
def test_unseen_combinations_are_the_rarest_or_the_most_frequent_that_can_go(name, sign):
    with (ROOT / "results/toyworld/per_class/ours.csv").open(newline="") as stream:
        frequency = np.array([int(row["train_instances"]) for row in csv.DictReader(stream)])
    unseen = np.zeros(TOYWORLD.num_hois, np.bool_)
    whole = seen_parts(TOYWORLD, unseen)
    for row in np.argsort(sign * frequency, kind="stable"):
        if unseen.sum() < UNSEEN[name]:
            unseen[row] = True
            unseen[row] = seen_parts(TOYWORLD, unseen) == whole
    assert np.array_equal(class_split(name, TOYWORLD).unseen, unseen)


@pytest.mark.skipif(not PUBLISHED.exists(), reason="the published lists are not at hand")
def test_hicodets_splits_are_the_published_lists():
    published = json.loads(PUBLISHED.read_text())
    names = [tuple(pair) for pair in published["hoi"]]
    verbs, objects = (tuple(dict.fromkeys(column)) for column in zip(*names, strict=True))
    classes = tuple((verbs.index(verb), objects.index(obj)) for verb, obj in names)
    vocabulary = Vocabulary(objects=objects, verbs=verbs, hoi_classes=classes)
    for name, split in published["splits"].items():
        unseen = class_split(name, vocabulary).unseen
        assert np.flatnonzero(unseen).tolist() == split["unseen"] and unseen.sum() == split["count"]
        rare = np.isin(published["rare_138_indices"], split["unseen"]).sum()
        assert rare == split["rare_among_unseen"]
        seen = seen_parts(vocabulary, unseen)
        lost = sorted(set(verbs) - seen[0]), sorted(set(objects) - seen[1])
        assert lost == (split["verbs_with_no_seen_class"], split["objects_with_no_seen_class"])


def test_hicodets_counts_are_the_published_ones():
    shipped = json.loads((ROOT / "pipeline/data/unseen/hicodet.json").read_text())["splits"]
    counts = {name: len(set(split["unseen"])) for name, split in shipped.items()}
    combinations = dict.fromkeys(["rf_uc", "nf_uc", "uc0", "uc1", "uc2", "uc3", "uc4"], 120)
    assert counts == {**combinations, "uo": 100, "uv": 84, "ua": 100}
    verbs = {name: Counter(hoi.split()[0] for hoi in split["unseen"]) for name, split in shipped.items()}
    assert (len(verbs["uv"]), len(verbs["ua"])) == (20, 22)
    assert len({hoi.split()[1] for hoi in shipped["uo"]["unseen"]}) == 12


def test_a_file_of_ones_own(tmp_path, vocabulary):
    own = tmp_path / "own.json"
    names = vocabulary.hoi_names
    data = {"vocabulary": "mine", "classes": len(names), "splits": {"last": {"unseen": [names[-1].replace(" ", "_")]}}}
    own.write_text(json.dumps(data))
    split = class_split(f"{own}:last", vocabulary)
    assert split.name == "last" and split.path == own
    assert {name: members.sum() for name, members in split.groups.items()} == {"unseen": 1, "seen": len(names) - 1}


def test_faults_are_one_line_each(tmp_path, vocabulary):
    for name, message in (
        ("rf_uv", 'no class split "rf_uv"; did you mean "rf_uc"|no class split "rf_uv"'),
        ("uc0", r'"uc0" is of the 600 HOI classes of HICO-DET; this dataset has \d+ other ones'),
        ("uo", "of the 600 HOI classes of HICO-DET or the 40 HOI classes of toyworld"),
    ):
        with pytest.raises(ParamError, match=message):
            class_split(name, vocabulary)
    (tmp_path / "bad.json").write_text('{"splits": []}')
    with pytest.raises(DataError, match=r"none.json: cannot be read [(]No such file"):
        class_split(f"{tmp_path}/none.json:uo", vocabulary)
    with pytest.raises(DataError, match=r'bad.json: not a file of class splits .*expected {"vocabulary": name'):
        class_split(f"{tmp_path}/bad.json:uo", vocabulary)
