"""What every method must do, whatever it is: each file and folder of pipeline/methods, on each backbone."""

import dataclasses

import numpy as np
import pytest
import torch

from pipeline.core.errors import ArtifactError, ParamError
from pipeline.methods import pair_chunks
from pipeline.methods.base import trained_state
from pipeline.methods.catalog import method_class
from pipeline.methods.image_labels import LabeledClasses
from pipeline.methods.model import ModelChoice, model_from_config
from pipeline.methods.pairing import PairRule
from tests.conftest import make_batch
from tests.small_dinov2 import random_dinov2, save_dinov2
from tests.small_model import BACKBONES, METHODS, chosen, counts_of, run, small_model, with_class_probabilities


@pytest.fixture(params=METHODS)
def method(request):
    return request.param


@pytest.fixture(params=BACKBONES)
def model(request, method, vocabulary, model_params, small_visual):
    if request.param == "dinov2":
        settings = model_params.settings | {"dinov2": {"weights": request.getfixturevalue("dinov2_folder")}}
        model_params = dataclasses.replace(model_params, settings=settings)
    return small_model(vocabulary, chosen(model_params, method=method, backbone=request.param), small_visual)


@pytest.fixture(scope="session")
def dinov2_folder(tmp_path_factory) -> str:
    return str(save_dinov2(tmp_path_factory.mktemp("dinov2"), random_dinov2(0)))


def batch_for(model, counts, vocabulary):
    """A batch that holds what the method asks for."""
    batch = make_batch(counts, vocabulary)
    asks = model.method.needs_class_probabilities
    return with_class_probabilities(batch, vocabulary) if asks else batch


def test_there_are_some():
    assert {"bilevel", "ppr_fcn", "clip_zero_shot", "prompt_classifier"} <= set(METHODS)
    assert {"clip_resnet", "clip_vit", "detector_fpn", "dinov2"} <= set(BACKBONES)


@pytest.mark.parametrize("counts", [[4, 0, 6, 1], [0, 0]])
def test_outputs_have_the_declared_shapes(model, vocabulary, counts):
    batch = batch_for(model, counts, vocabulary)
    batch.object_ids[0::3] = vocabulary.human_object_id
    pairs, outputs = run(model, vocabulary, batch)
    assert model.method.columns
    for column in model.method.columns:
        rows = len(pairs) if column.per == "pair" else len(batch)
        assert outputs[column.name].shape == (rows, *column.width(vocabulary)), column.name
        assert torch.isfinite(outputs[column.name]).all()


def test_unseen_classes_and_verbs_belong_in_no_loss(model, vocabulary):
    """Drinking with a cup is the one class of its verb."""
    if not model.method.loss_names:
        return
    batch = batch_for(model, [4, 0, 6, 1], vocabulary)
    batch.object_ids[0::3], batch.labels[:, 3] = vocabulary.human_object_id, 0
    pairs, outputs = run(model, vocabulary, batch)
    outputs = {name: output.detach().requires_grad_(output.is_floating_point()) for name, output in outputs.items()}
    losses = model.method.losses(LabeledClasses(vocabulary, np.array([True, True, True, False])))
    sum(losses(outputs, batch, pairs, counts_of(batch, pairs)).values()).backward()
    hois, verbs = (
        [output.grad for name, output in outputs.items() if name.endswith(ends) and output.grad is not None]
        for ends in ("image_logits", ("interaction_logits", "verb_logits", "verbs", "bag_logits", "swapped_logits"))
    )
    assert hois or verbs
    assert all(grad[..., 3].count_nonzero() == 0 and grad[..., :3].any() for grad in hois)
    assert all(grad[..., 2].count_nonzero() == 0 and grad[..., :2].any() for grad in verbs)


@pytest.mark.parametrize("counts", [[4, 0, 6, 1], [0, 0]])
def test_losses_are_the_declared_ones_finite_and_reach_the_network(model, vocabulary, counts):
    if not model.method.loss_names:
        with pytest.raises(ParamError, match="is not trained"):
            model.method.losses(LabeledClasses(vocabulary))
        return
    batch = batch_for(model, counts, vocabulary)
    batch.object_ids[0::3] = vocabulary.human_object_id
    pairs, outputs = run(model, vocabulary, batch)
    terms = model.method.losses(LabeledClasses(vocabulary))(outputs, batch, pairs, counts_of(batch, pairs))
    assert tuple(terms) == model.method.loss_names
    assert all(torch.isfinite(term) and term.shape == () for term in terms.values())
    sum(terms.values()).backward()
    trained = [value for value in model.network.parameters() if value.requires_grad]
    from_backbone = [value for value in model.network.backbone.parameters() if value.requires_grad]
    if len(pairs):  # a method may freeze its backbone
        assert any(value.grad is not None and value.grad.any() for value in from_backbone or trained)


def test_a_crowd_in_chunks_has_the_numbers_of_the_whole(model, vocabulary, monkeypatch):
    batch = batch_for(model, [7, 0, 6, 1], vocabulary)
    batch.object_ids[0::2] = vocabulary.human_object_id
    pairs = PairRule.of(vocabulary).pair(batch)
    assert len(pairs) > 9
    backbone, pooled = model.network.eval().backbone, []
    pool = backbone.region_embedding

    def watched(features, boxes, image):
        pooled.append(len(boxes))
        return pool(features, boxes, image)

    with torch.set_grad_enabled(model.method.needs_gradients):
        whole = model.network(batch, pairs)
        monkeypatch.setattr(pair_chunks, "CHUNK_BYTES", 3 * backbone.region_bytes)
        monkeypatch.setattr(backbone, "region_embedding", watched)
        cut = model.network(batch, pairs)
    assert max(pooled, default=0) <= max(3, len(batch))  # detector_fpn pools whole images
    for column in model.method.columns:
        torch.testing.assert_close(cut[column.name], whole[column.name], rtol=1e-5, atol=1e-6)


def test_config_and_weights_rebuild_the_same_model(model, vocabulary):
    twin = model_from_config(model.config, trained_state(model.network))
    batch = batch_for(model, [4, 3], vocabulary)
    batch.object_ids[0] = vocabulary.human_object_id
    (_, ours), (_, theirs) = run(model, vocabulary, batch), run(twin, vocabulary, batch)
    assert twin.image_size == 64
    assert twin.method.columns == model.method.columns
    for column in model.method.columns:
        assert torch.equal(ours[column.name], theirs[column.name])


def test_settings_are_checked_all_at_once(model_params, method):
    size = next(item.name for item in dataclasses.fields(method_class(method).Params) if type(item.default) is int)
    settings = {**model_params.settings, method: {"unheard_of": 1, size: 0}, "bilevl": {}}
    params = dataclasses.replace(model_params, method=method, settings=settings)
    with pytest.raises(ParamError) as caught:
        ModelChoice.of(params)
    faults = (f'unknown key "model.{method}.unheard_of"', f"model.{method}.{size} is 0", 'section "model.bilevl"')
    assert all(fault in str(caught.value) for fault in faults)


@pytest.mark.parametrize(("name", "hint"), [("ppr_fnc", ".*ppr_fcn"), ("no.such.module", ""), ("pairing", "")])
def test_unknown_names_are_refused_with_a_suggestion(name, hint):
    with pytest.raises(ParamError, match=rf'model\.method: "{name}" is no module that defines METHOD{hint}'):
        method_class(name)


@pytest.mark.parametrize("change", [{"method": {"name": "gone", "settings": {}}}, {"vocabulary": 3}, {"backbone": {}}])
def test_a_config_of_another_version_is_refused(vocabulary, model_params, small_visual, change):
    model = small_model(vocabulary, model_params, small_visual)
    with pytest.raises(ArtifactError, match=r"checkpoint: config\.json"):
        model_from_config({**model.config, **change}, trained_state(model.network))


def test_weights_of_another_network_are_refused(vocabulary, model_params, small_visual):
    model = small_model(vocabulary, model_params, small_visual)
    with pytest.raises(ArtifactError, match=r"weights do not fit config\.json"):
        model_from_config(model.config, {})


@pytest.mark.parametrize(
    ("settings", "part"),
    [
        ({"bilevel": {"ktn": "softmx"}}, "model.bilevel.ktn is 'softmx', did you mean \"softmax\"?"),
        ({"clip_resnet": {"last_stride": 17}}, "model.clip_resnet.last_stride is 17; expected 16 or 32"),
        ({"bilevel": {"dropout": float("nan")}}, "model.bilevel.dropout is nan; expected 0 to 0.99"),
    ],
)
def test_wrong_settings_are_named(model_params, settings, part):
    with pytest.raises(ParamError) as caught:
        ModelChoice.of(dataclasses.replace(model_params, settings=settings))
    assert part in str(caught.value)
