"""Installs packages into the environment of this Python: by uv where it can be had, else by pip.

    python .ci/install.py -c constraints.txt -e ".[dev]"     # arguments of `pip install`

uv takes a fraction of pip's time. It reads no pip.conf and no PIP_ variable, so it is told here what they say: the same
packages come from the same places. Nothing of that is written anywhere. Where uv can't be installed, or fails, pip does
the work.
"""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence

PIP = (sys.executable, "-m", "pip")
UV = (sys.executable, "-m", "uv")
_QUIET = ("--quiet", "--disable-pip-version-check")
# Setting of pip to variable of uv, and what separates several values there.
_VARIABLES = {
    "index-url": ("UV_DEFAULT_INDEX", " "),
    "extra-index-url": ("UV_INDEX", " "),
    "find-links": ("UV_FIND_LINKS", ","),
    "trusted-host": ("UV_INSECURE_HOST", " "),
    "cert": ("SSL_CERT_FILE", " "),
    "proxy": ("ALL_PROXY", " "),
    "timeout": ("UV_HTTP_TIMEOUT", " "),
}


def pip_settings(listed: str) -> dict[str, str]:
    """Return what `pip config list` says of installing: PIP_ variables come before [install], that before [global]."""
    found: dict[str, str] = {}
    for section in ("global.", "install.", ":env:."):
        for line in listed.splitlines():
            name, _, value = line.partition("=")
            if name.startswith(section):
                found[name.removeprefix(section)] = str(ast.literal_eval(value))
    return found


def uv_environment(settings: Mapping[str, str]) -> dict[str, str]:
    """Return the variables that tell uv what pip's settings say."""
    told = {
        variable: separator.join(settings[name].split())
        for name, (variable, separator) in _VARIABLES.items()
        if settings.get(name)
    }
    return {"UV_INDEX_STRATEGY": "unsafe-best-match"} | told  # the best version of all indexes, as pip takes it


def uv_options(settings: Mapping[str, str]) -> list[str]:
    """Return the options for what has no variable."""
    files = settings.get("constraint", "").split()
    alone = ["--no-index"] if settings.get("no-index", "").lower() in ("1", "true", "yes", "on") else []
    return [*alone, *(f"--constraints={file}" for file in files)]


def install(arguments: Sequence[str]) -> int:
    """Install; the exit code of whoever did."""
    if subprocess.run([*PIP, "install", *_QUIET, "-c", "constraints.txt", "uv"], check=False).returncode == 0:
        listed = subprocess.run([*PIP, "config", "list"], capture_output=True, text=True, check=True).stdout
        settings = pip_settings(listed)
        command = [*UV, "pip", "install", "--quiet", f"--python={sys.executable}", *uv_options(settings), *arguments]
        if subprocess.run(command, env=uv_environment(settings) | os.environ, check=False).returncode == 0:
            return 0
    sys.stderr.write("uv can't install here: pip does, which takes longer\n")
    return subprocess.run([*PIP, "install", *_QUIET, *arguments], check=False).returncode


if __name__ == "__main__":
    sys.exit(install(sys.argv[1:]))
