import pytest

from pipeline.core.errors import ParamError
from pipeline.core.layout import Layout, run_name
from pipeline.core.names import check_dataset, check_variant
from tests.core.test_params import WRONG_NAMES


@pytest.mark.parametrize("name", ["toyworld", "vcoco", "my-data_2.v1", "7", "a" * 200])
def test_names_that_are_fine(name):
    check_dataset(name)
    check_variant(name)


@pytest.mark.parametrize("name", WRONG_NAMES)
def test_paths_and_shell_characters_are_no_names(tmp_path, name):
    with pytest.raises(ParamError, match="expected a name of letters"):
        Layout(tmp_path, name)
    with pytest.raises(ParamError, match="expected a name of letters"):
        run_name(name)


@pytest.mark.parametrize(
    "overrides", ["train.decay_at=[0.6,0.85]", "train.learning_rate=1e-05", "model.clip=RN101", "train.top_k=2"]
)
def test_overrides_that_are_fine(overrides):
    assert run_name(f"ours+{overrides}") == f"tuning/ours+{overrides}"


@pytest.mark.parametrize(
    "override",
    ["", "train", "train.epochs", "train.epochs=1 2", "train.epochs=$(ls)", "model.clip=/x", "a.b=" + "1" * 99],
)
def test_overrides_that_a_path_cannot_hold(override):
    with pytest.raises(ParamError, match=r"expected \+section.key=value"):
        check_variant(f"{'o' * 100}+{override}")
