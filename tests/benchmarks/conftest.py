import json
import pickle

import pytest
from click.testing import CliRunner


@pytest.fixture
def measured(tmp_path):
    """Run a benchmark's command: what it prints, and the figures that it writes."""

    def run(command, *options: str) -> tuple[str, dict]:
        done = CliRunner().invoke(command, [*options, "--json", str(tmp_path / "b.json")])
        assert done.exit_code == 0, done.output
        return done.output, json.loads((tmp_path / "b.json").read_text())

    return run


@pytest.fixture
def peak_in_this_process():
    """Stands in for `peak_resident_bytes`: makes and does the work, without a new process that loads torch first."""

    def peak(prepare, *arguments) -> int:
        prepare, arguments = pickle.loads(pickle.dumps((prepare, arguments)))
        prepare(*arguments)()
        return 1000

    return peak
