import dataclasses

from benchmarks.deviations import DEVIATIONS, command
from pipeline.evaluation.hicodet import SETTINGS, Deviations


def test_every_deviation_of_a_setting_is_measured_alone(measured):
    printed, figures = measured(command, "--rows=20000")
    assert set(figures["full"]) == {*SETTINGS, *DEVIATIONS}
    assert figures["full"]["pair suppression at 0.7"] > 0
    assert printed.count("\n") == 1 + len(figures["full"])
    alone = [changes for changes in DEVIATIONS.values() if len(changes) == 1]
    assert len(alone) == len(DEVIATIONS)
    official = dataclasses.asdict(Deviations())
    of_settings = {
        (name, value)
        for setting in SETTINGS.values()
        for name, value in dataclasses.asdict(setting).items()
        if value != official[name]
    }
    assert of_settings - {item for changes in alone for item in changes.items()} == {("counted", "images_with_object")}
