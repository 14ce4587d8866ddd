import json

import pytest

from pipeline.core.errors import DataError
from pipeline.detection.categories_file import read_categories


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
