from __future__ import annotations

import csv
import json

from benchmarks import million
from pipeline.config.layout import Layout
from pipeline.config.run import Run
from pipeline.core import texts
from pipeline.data.split import take_split
from pipeline.detection.importers import import_proposals
from pipeline.store.dump import open_dump
from pipeline.store.inputs import StageInputs
from stages.cli import main


def test_the_world_goes_through_prepare_and_import_and_fits_its_dump(tmp_path, monkeypatch):
    monkeypatch.setattr(texts, "MANY", 50)
    root = tmp_path / "world"
    million.write_world(root, 600, workers=0)
    with (root / "data/labels.csv").open(newline="") as file:
        assert len({(row["verb"], row["object"]) for row in csv.DictReader(file)}) == 600
    main(["prepare", "--dataset", million.DATASET, "--root", str(root)], standalone_mode=False)
    layout = Layout(root, million.DATASET)
    vocabulary, train = take_split(StageInputs(layout), "train")
    assert (vocabulary.num_hois, len(train), len(train.label_rows(600).hoi_ids)) == (600, 600, 1800)
    million.write_detections(root, 600, vocabulary)
    assert len(json.loads((root / "detections.json").read_text())) == 3000
    found = import_proposals(root / "detections.json", train, vocabulary, labels="vocabulary", detector="made up:")
    assert set(found.proposals.offsets[1:] - found.proposals.offsets[:-1]) == {million.DETECTED}
    million.write_random_dump(root, 600, 60, vocabulary)
    test = take_split(StageInputs(layout), "test")[1]
    open_dump(layout.predictions(Run("ours")), vocabulary=vocabulary, image_ids=test.image_ids, run="ours")
