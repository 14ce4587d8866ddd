import pytest

from pipeline.detection.params import leakage_warning


@pytest.mark.parametrize("trained_on", ["COCO train2017", "", "V-COCO"])
def test_vcoco_needs_a_declaration(trained_on):
    warning = leakage_warning("vcoco", trained_on)
    assert warning is not None
    assert f'"{trained_on}"' in warning
    assert "\n" not in warning


def test_a_declaration_or_another_dataset_is_silent():
    assert leakage_warning("vcoco", "COCO train2017 without V-COCO images") is None
    assert leakage_warning("hicodet", "COCO train2017") is None
