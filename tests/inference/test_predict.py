"""`predict` hands the network what `infer` would: class probabilities where the method asks for them."""

import numpy as np
import pytest
import torch
from PIL import Image

from pipeline.detection.class_probabilities import keep_class_probabilities
from pipeline.detection.detectors import Detector
from pipeline.detection.small_fasterrcnn import small_fasterrcnn
from pipeline.inference import predict
from pipeline.inference.params import InferParams
from tests.small_model import chosen, small_model


@pytest.fixture
def detector(vocabulary, seed):
    torch.manual_seed(seed)
    model = small_fasterrcnn(5, score_threshold=0.05, detections_per_image=30).eval()
    torch.nn.init.normal_(model.roi_heads.box_predictor.cls_score.weight, std=0.3)
    keeps = keep_class_probabilities(model)
    return Detector(model, "small", ("__background__", *vocabulary.objects), "0f", "nothing", {}, keeps)


@pytest.mark.parametrize("method", ["explanation_hoi", "ppr_fcn"])
def test_class_probabilities_go_to_the_methods_that_ask(
    vocabulary, model_params, small_visual, detector, method, tmp_path, monkeypatch
):
    pixels = np.random.default_rng(0).integers(0, 255, (64, 64, 3)).astype(np.uint8)
    Image.fromarray(pixels).save(tmp_path / "a.png")
    batches = []

    def run(model, vocabulary, batch, device):
        batches.append(batch)
        return original(model, vocabulary, batch, device)

    original = predict.batch_outputs
    monkeypatch.setattr(predict, "batch_outputs", run)
    model = small_model(vocabulary, chosen(model_params, method=method), small_visual)
    (found,) = predict.predict_images(
        [tmp_path / "a.png"],
        model=model,
        detector=detector,
        vocabulary=vocabulary,
        params=InferParams(batch_size=2, part_size=2, max_proposals=20),
        device=torch.device("cpu"),
        skipped=pytest.fail,
    )
    (batch,) = batches
    assert len(batch.boxes) == 20
    if method == "ppr_fcn":
        assert batch.class_probabilities.shape == (20, 0)
        return
    own = batch.class_probabilities.gather(1, batch.object_ids[:, None])[:, 0]
    torch.testing.assert_close(own, batch.scores, atol=1e-3, rtol=0)
    assert (batch.class_probabilities > 0).all()  # the whole row, not the score alone
    if len(found.dump.human_index):
        assert (found.dump.outputs["relevance_logs"] > -200).any()


def test_batches_that_close_by_pairs_keep_the_order(
    vocabulary, model_params, small_visual, detector, tmp_path, monkeypatch
):
    paths = [tmp_path / f"{name}.png" for name in "cab"]
    for seed, path in enumerate(paths):
        pixels = np.random.default_rng(seed).integers(0, 255, (64, 64, 3)).astype(np.uint8)
        Image.fromarray(pixels).save(path)
    model = small_model(vocabulary, model_params, small_visual)
    monkeypatch.setattr(predict, "closed_batches", lambda *_: [range(0, 1), range(1, 3)])
    found = list(
        predict.predict_images(
            paths,
            model=model,
            detector=detector,
            vocabulary=vocabulary,
            params=InferParams(batch_size=8, part_size=8, max_proposals=20),
            device=torch.device("cpu"),
            skipped=pytest.fail,
        )
    )
    assert [batch.sources for batch in found] == [(paths[0],), (paths[1], paths[2])]
    assert [len(batch.dump) for batch in found] == [len(batch.images) for batch in found] == [1, 2]
    assert found[1].dump.image_ids == ("1", "2")
