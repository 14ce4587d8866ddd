"""Follows README word by word, as a stranger would: in an empty home folder, its blocks in order, in one shell.

python .ci/readme.py                # all that needs no download
python .ci/readme.py "make test"    # leaves out the lines that start so
"""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
BLOCK = re.compile(r"^(<!-- not run: [^\n]+ -->\n)?```(bash|python)\n(.*?)^```$", re.DOTALL | re.MULTILINE)


def script(readme: str, left_out: tuple[str, ...]) -> str:
    """The blocks that are run, as one script; `ADDRESS` is this repository."""
    parts = ["set -exo pipefail"]
    for marked, language, content in BLOCK.findall(readme):
        if not marked and language == "python":
            parts.append(f"python -c {shlex.quote(content)}")
        elif not marked:
            parts += [line for line in content.splitlines() if not line.startswith(left_out)]
    return "\n".join(parts).replace("ADDRESS ", f"{shlex.quote(str(ROOT))} ")


def main() -> int:
    """Run them; returns the exit code of the first that fails."""
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder, "home")
        home.mkdir()
        # What tells pip and certificates where things are is a setting of the machine, not of the home folder.
        kept = {name: os.environ[name] for name in ("LANG",) if name in os.environ}
        kept |= {name: value for name, value in os.environ.items() if name.startswith(("PIP_", "SSL_", "UV_"))}
        programs = [path for path in os.environ["PATH"].split(os.pathsep) if not Path(path, "activate").exists()]
        environment = kept | {"HOME": str(home), "PATH": os.pathsep.join(programs)}
        text = script((ROOT / "README.md").read_text(encoding="utf-8"), tuple(sys.argv[1:]))
        return subprocess.run(["bash", "-c", text], cwd=folder, env=environment, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
