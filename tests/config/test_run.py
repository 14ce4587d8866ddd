import pytest

from pipeline.config.layout import Layout
from pipeline.config.run import Run, checkpoint_owner
from pipeline.core.errors import ParamError
from tests.config.test_params import WRONG_NAMES

RUNS = [Run("ours"), Run("ours", ("train.learning_rate=0.001",)), Run("ours", seed=3)]


@pytest.mark.parametrize("name", ["toyworld", "vcoco", "my-data_2.v1", "7", "a" * 200])
def test_names_that_are_fine(tmp_path, name):
    Layout(tmp_path, name)
    assert Run.parse(name).name == name


@pytest.mark.parametrize("name", WRONG_NAMES)
def test_paths_and_shell_characters_are_no_names(tmp_path, name):
    with pytest.raises(ParamError, match="expected a name of letters"):
        Layout(tmp_path, name)
    with pytest.raises(ParamError, match="expected a name of letters"):
        Run.parse(name)


@pytest.mark.parametrize(
    "override", ["train.decay_at=[0.6,0.85]", "train.learning_rate=1e-05", "model.clip=RN101", "train.epochs=2"]
)
def test_overrides_that_are_fine(override):
    run = Run.parse(f"ours+{override}")
    assert run == Run("ours", (override,)) and run.text == f"ours+{override}" and run.name == f"tuning/ours+{override}"


@pytest.mark.parametrize(
    "override",
    ["", "train", "train.epochs", "train.epochs=1 2", "train.epochs=$(ls)", "model.clip=/x", "a.b=" + "1" * 99],
)
def test_overrides_that_a_path_cannot_hold(override):
    with pytest.raises(ParamError, match=r"expected \+section.key=value"):
        Run.parse(f"{'o' * 100}+{override}")


def test_names_tell_studies_and_splits_apart():
    seeded = Run("ours", seed=3)
    assert (seeded.name, seeded.scored_name) == ("seeds/ours-3", "seeds/ours-3")
    assert seeded.on("val").scored_name == "seeds/ours-3-val"
    assert Run("ours", split="val").scored_name == "val/ours-val"
    assert Run("ours", ("train.epochs=2",), split="val").scored_name == "tuning/ours+train.epochs=2-val"
    assert seeded.on("val").options == "--variant ours --seed 3 --split val"
    assert seeded.of("abl1") == Run("abl1", seed=3)


@pytest.mark.parametrize("run", RUNS)
def test_a_checkpoint_tells_its_dataset_and_run(tmp_path, run):
    assert checkpoint_owner(tmp_path, Layout(tmp_path, "vcoco").checkpoint(run)) == ("vcoco", run)


def test_checkpoints_from_elsewhere_tell_nothing(tmp_path):
    for folder in (
        "models/ours",
        "cache/vcoco/ours",
        "cache/checkpoints/ours",
        "other/cache/vcoco/checkpoints/ours",
        "cache/vcoco/checkpoints/my model",
    ):
        assert checkpoint_owner(tmp_path, tmp_path / folder) is None
