import json

import pytest
import torch
from torchvision.models import get_model_builder

from pipeline.core.errors import DataError, WeightsError
from pipeline.detection.own_weights import check_num_categories, read_categories


def test_names_by_label(tmp_path):
    path = tmp_path / "names.json"
    names = ["__background__", "person", "N/A", "überkopf", "N/A"]  # COCO's numbering has gaps, all of one name
    path.write_text(json.dumps({"categories": names, "author": "us"}))
    assert read_categories(path) == tuple(names)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ([], "categories are None"),
        ({"names": ["person"]}, "categories are None"),
        ({"categories": []}, r"categories are \[\]"),
        ({"categories": "person"}, "categories are 'person'"),
        ({"categories": ["person", 3]}, r"categories are \['person', 3\]"),
        ({"categories": ["person", ""]}, "categories are"),
        ({"categories": ["person", "cup", "person"]}, '"person" is the name of two labels'),
    ],
)
def test_other_files_are_refused_with_the_form_that_is_expected(tmp_path, data, message):
    path = tmp_path / "names.json"
    path.write_text(json.dumps(data))
    with pytest.raises(DataError, match=rf"names\.json: {message}.*expected"):
        read_categories(path)


@pytest.mark.parametrize("builder", ["fasterrcnn_resnet50_fpn", "retinanet_resnet50_fpn", "fcos_resnet50_fpn"])
def test_the_number_of_categories_is_read_off_the_weights(builder, tmp_path):
    with torch.device("meta"):
        built, found = (
            get_model_builder(builder)(weights=None, weights_backbone=None, num_classes=number).state_dict()
            for number in (91, 4)
        )
    check_num_categories(built, built, 91, tmp_path / "w.pt")
    with pytest.raises(WeightsError, match="has 4 categories"):
        check_num_categories(built, found, 91, tmp_path / "w.pt")


def test_another_architecture_is_not_taken_for_other_categories(tmp_path):
    built = {"stem": torch.zeros(64, 3), "head": torch.zeros(8, 16)}
    for change in ({"head": torch.zeros(4, 8)}, {"stem": torch.zeros(16, 3), "head": torch.zeros(6, 16)}):
        check_num_categories(built, built | change, 4, tmp_path / "w.pt")
    check_num_categories(built, {"head": torch.zeros(6, 16)}, 4, tmp_path / "w.pt")
