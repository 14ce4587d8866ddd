"""What `make setup` installs with: uv, told of pip's settings, or pip."""

import importlib.util
from pathlib import Path
from subprocess import CompletedProcess

import pytest

_SPEC = importlib.util.spec_from_file_location("install", Path(__file__).parent.parent / ".ci" / "install.py")
install = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(install)

LISTED = """:env:.index-url='https://own.example/simple'
global.constraint='/etc/one.txt /etc/two.txt'
global.extra-index-url='file:///a/simple\\n  https://b.example/simple'
global.find-links='/wheels /more'
global.index-url='https://other.example/simple'
install.find-links='/wheels'
install.no-index='true'
"""


def test_uv_is_told_what_pip_is_told():
    settings = install.pip_settings(LISTED)
    assert install.uv_environment(settings) == {
        "UV_DEFAULT_INDEX": "https://own.example/simple",  # a variable comes before a file
        "UV_INDEX": "file:///a/simple https://b.example/simple",
        "UV_FIND_LINKS": "/wheels",  # [install] comes before [global]
        "UV_INDEX_STRATEGY": "unsafe-best-match",
    }
    assert install.uv_options(settings) == ["--no-index", "--constraints=/etc/one.txt", "--constraints=/etc/two.txt"]
    assert install.uv_environment({"find-links": "/wheels /more"})["UV_FIND_LINKS"] == "/wheels,/more"


@pytest.mark.parametrize(
    ("failing", "done"),
    [
        ((), ["pip install uv", "pip config", "uv install"]),
        (("uv install",), ["pip install uv", "pip config", "uv install", "pip install"]),
        (("pip install uv",), ["pip install uv", "pip install"]),
    ],
)
def test_pip_installs_where_uv_does_not(monkeypatch, capsys, failing, done):
    """Commands are recorded, none is run."""
    calls = []

    def run(command, env=None, **_):
        what = "uv install" if "uv" in command[2:3] else f"pip {command[3]}"
        what += " uv" if command[-1] == "uv" else ""
        calls.append(what)
        if what in ("uv install", "pip install"):
            assert command[-2:] == ["-e", "."]
        if what == "uv install":
            assert env["UV_DEFAULT_INDEX"] == "https://own.example/simple"
            assert env["UV_FIND_LINKS"] == "/own"  # what the user tells uv stays
        return CompletedProcess(command, int(what in failing), stdout=LISTED)

    monkeypatch.setenv("UV_FIND_LINKS", "/own")
    monkeypatch.setattr(install.subprocess, "run", run)
    assert install.install(["-e", "."]) == 0
    assert calls == done
    assert ("pip does" in capsys.readouterr().err) == bool(failing)
