import pytest

from pipeline.backbones.base import Backbone
from pipeline.core.errors import ParamError


class OnlyEmbeddings(Backbone):
    """A backbone that offers no more than it must."""

    build = from_config = config = forward = global_embedding = region_embedding = None


@pytest.mark.parametrize("name", ["patch_width", "region_map_shape"])
def test_sizes_of_what_a_backbone_lacks_are_an_error_that_names_it(name):
    with pytest.raises(ParamError, match=r"OnlyEmbeddings has no (patches|maps of regions); take another one"):
        getattr(OnlyEmbeddings(), name)


@pytest.mark.parametrize(("name", "arguments"), [("patches", 1), ("region_maps", 3)])
def test_so_is_reading_it(name, arguments):
    with pytest.raises(ParamError, match="OnlyEmbeddings has no"):
        getattr(OnlyEmbeddings(), name)(*[None] * arguments)
