import pickle
from pathlib import Path

import clip
import pytest
import torch

from pipeline.core.errors import DownloadError, WeightsError
from pipeline.store.clip_architecture import ClipConfig, build_clip
from pipeline.store.clip_checkpoint import load_clip, save_clip, token_table
from pipeline.store.files import sha256_of
from pipeline.store.published import CLIP_FILES, PublishedFile
from tests.other_files import OTHER_FILES

PROMPTS = ["a person riding a bicycle", "a photo of a person feeding a dog", "a person looking at a horse!"]


def tiny_config(vocab_size: int) -> ClipConfig:
    return ClipConfig(
        embed_dim=12,
        image_resolution=64,
        vision_layers=(1, 2, 1, 1),
        vision_width=4,
        context_length=20,
        vocab_size=vocab_size,
        transformer_width=64,
        transformer_heads=1,
        transformer_layers=2,
    )


@pytest.fixture(scope="module")
def full(seed):
    torch.manual_seed(seed)
    return build_clip(tiny_config(49408)).eval()


@pytest.fixture(scope="module")
def cut(full, tmp_path_factory) -> Path:
    """The full-table model with its table cut to the tokens of PROMPTS, saved."""
    token_ids = token_table(PROMPTS)
    model = build_clip(tiny_config(len(token_ids))).eval()
    state = dict(full.state_dict())
    state["token_embedding.weight"] = state["token_embedding.weight"][token_ids]
    model.load_state_dict(state)
    path = tmp_path_factory.mktemp("clip") / "cut.safetensors"
    save_clip(path, model, token_ids=token_ids, metadata={"training_set": "none"})
    return path


def test_a_cut_table_encodes_as_the_full_one(full, cut):
    checkpoint = load_clip(str(cut))
    # what was stored is float16, so the full model is rounded too
    rounded = build_clip(tiny_config(49408)).eval()
    rounded.load_state_dict({name: tensor.half().float() for name, tensor in full.state_dict().items()})
    tokens, full_tokens = checkpoint.tokenize(PROMPTS), clip.tokenize(PROMPTS, context_length=20).long()
    expected = rounded.encode_text(full_tokens)
    torch.testing.assert_close(checkpoint.model.encode_text(tokens), expected)
    assert not torch.allclose(expected[0], expected[1])
    assert torch.equal(tokens.argmax(1), full_tokens.argmax(1))  # the end of a text has the highest id


def test_round_trip_keeps_sizes_weights_and_digest(full, tmp_path):
    path = tmp_path / "full.safetensors"
    save_clip(path, full, token_ids=None, metadata={})
    checkpoint = load_clip(str(path))
    assert checkpoint.token_ids is None and checkpoint.name == "full" and checkpoint.digest == sha256_of(path)
    assert ClipConfig.of_model(checkpoint.model) == ClipConfig.of_model(full)
    assert not checkpoint.model.training
    for name, tensor in checkpoint.model.state_dict().items():
        assert torch.equal(tensor, full.state_dict()[name].half().float()), name
        assert tensor.dtype in (torch.float32, torch.int64)


@pytest.mark.filterwarnings("ignore:.*torch.jit.*", "ignore::torch.jit.TracerWarning")
def test_plain_state_dict_and_torchscript_give_the_same_model(full, tmp_path):
    plain, script = tmp_path / "plain.pt", tmp_path / "script.pt"
    torch.save(full.state_dict(), plain)
    tokens = clip.tokenize(PROMPTS, context_length=20).long()
    images = torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(1))
    torch.jit.save(torch.jit.trace(full, (images, tokens), check_trace=False), str(script))
    for path in (plain, script):
        model = load_clip(str(path)).model
        torch.testing.assert_close(model.encode_image(images), full.encode_image(images))
        torch.testing.assert_close(model.encode_text(tokens), full.encode_text(tokens))


@pytest.mark.parametrize(
    ("prompt", "message"),
    [
        ("a person feeding a giraffe", 'lacks "giraffe" of the prompt "a person feeding a giraffe"'),
        ("a person riding a bicycle " * 10, "too long"),
    ],
)
def test_prompts_that_the_table_or_the_context_cannot_hold_are_refused(cut, prompt, message):
    with pytest.raises(WeightsError, match=message):
        load_clip(str(cut)).tokenize(["a person riding a bicycle", prompt])


def test_a_table_that_does_not_fit_is_refused(full, tmp_path):
    with pytest.raises(ValueError, match="token_ids"):
        save_clip(tmp_path / "x.safetensors", full, token_ids=torch.arange(5), metadata={})


def test_an_unknown_name_gets_a_suggestion():
    with pytest.raises(WeightsError, match='did you mean "RN101"'):
        load_clip("RN1O1")


def test_a_named_model_without_a_network_says_where_to_put_it(tmp_path, monkeypatch):
    def no_network(url, path, *, sha256):
        raise DownloadError("no network")

    monkeypatch.setattr("pipeline.store.clip_checkpoint.fetch", no_network)
    with pytest.raises(WeightsError, match=r"RN50\.pt: no network; or put the file there"):
        load_clip("RN50", download_root=tmp_path)


@pytest.fixture
def published(full, tmp_path, monkeypatch) -> Path:
    """RN50.pt in a download folder, a small CLIP that is said to be OpenAI's."""
    path = tmp_path / "RN50.pt"
    torch.save(full.state_dict(), path)
    monkeypatch.setitem(CLIP_FILES, "RN50", PublishedFile("https://example.org/RN50.pt", sha256_of(path)))
    return path


def test_a_named_model_is_the_published_file(published):
    checkpoint = load_clip("RN50", download_root=published.parent)
    assert (checkpoint.name, checkpoint.digest) == ("RN50", CLIP_FILES["RN50"].sha256)


def test_another_clip_under_a_published_name_is_refused(published, full):
    state = {name: value + 1 for name, value in full.state_dict().items()}
    torch.save(state, published)
    with pytest.raises(WeightsError) as caught:
        load_clip("RN50", download_root=published.parent)
    found, expected = sha256_of(published)[:12], CLIP_FILES["RN50"].sha256[:12]
    assert str(caught.value) == (
        f"{published}: not OpenAI's RN50 (sha256 {found}, published {expected}); delete it and download it again "
        f"from {CLIP_FILES['RN50'].url}, or name a file of your own by its path in clip.weights"
    )
    assert load_clip(str(published)).name == "RN50"  # by its path it is the user's own


@pytest.mark.parametrize("keep", [0.9, 0.1])
def test_a_broken_download_is_to_be_downloaded_again(published, keep):
    whole = published.read_bytes()
    published.write_bytes(whole[: int(len(whole) * keep)])
    with pytest.raises(WeightsError, match=r"not OpenAI's RN50 \(a zip archive cut short; .* download it again"):
        load_clip("RN50", download_root=published.parent)


def test_a_named_model_is_fetched_where_it_is_not(published, monkeypatch):
    data = published.read_bytes()
    published.unlink()
    asked = []
    monkeypatch.setattr(
        "pipeline.store.clip_checkpoint.fetch",
        lambda url, path, *, sha256: (asked.append((url, sha256)), path.write_bytes(data)),
    )
    file = CLIP_FILES["RN50"]
    assert load_clip("RN50", download_root=published.parent).digest == file.sha256
    assert asked == [(file.url, file.sha256)]


@pytest.mark.parametrize("suffix", [".pt", ".safetensors"])
@pytest.mark.parametrize("name", OTHER_FILES)
def test_what_is_no_checkpoint_gets_the_line_that_fits_it(tmp_path, name, suffix):
    data, what, remedy = OTHER_FILES[name]
    path = tmp_path / f"x{suffix}"
    path.write_bytes(data)
    with pytest.raises(WeightsError) as caught:
        load_clip(str(path))
    message = str(caught.value)
    assert message.startswith(f"{path}: ") and f"({what}" in message and message.endswith(f"; {remedy}")
    assert "\n" not in message and "weights_only" not in message


def test_a_pickled_module_is_named(full, tmp_path):
    torch.save(full, tmp_path / "model.pt")
    with pytest.raises(
        WeightsError, match=r"Python object clip.model.CLIP\); save it again with torch.save\(model.state"
    ):
        load_clip(str(tmp_path / "model.pt"))


class _Payload:
    def __reduce__(self):
        return (Path.touch, (Path("executed"),))


def test_pickles_are_never_run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "model.pt").write_bytes(pickle.dumps(_Payload()))
    torch.save({"model": _Payload()}, tmp_path / "zip.pt")
    for name in ("model.pt", "zip.pt"):
        with pytest.raises(WeightsError, match=name):
            load_clip(name)
    assert not (tmp_path / "executed").exists()


@pytest.mark.parametrize("name", ["damaged.safetensors", "damaged.pt"])
def test_damaged_files_are_refused(cut, tmp_path, name):
    (tmp_path / name).write_bytes(cut.read_bytes()[:1000])
    with pytest.raises(WeightsError, match=name):
        load_clip(str(tmp_path / name))


@pytest.mark.parametrize("tensor", ["visual.proj", "fc.weight"])
def test_other_architectures_are_refused(tmp_path, tensor):
    torch.save({tensor: torch.zeros(2)}, tmp_path / "other.pt")
    with pytest.raises(WeightsError, match=r"no tensor 'ln_final.weight'; expected the state dict of a CLIP"):
        load_clip(str(tmp_path / "other.pt"))
