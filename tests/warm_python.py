"""`python`, `dvc` and `weakhoi` that start at once: forked from a process that has imported the libraries, torch first.

A script of that name, on PATH, hands its arguments, folder, environment and open files to the server, and ends with the
exit code of the process that was forked for it. No code of this repository is imported before: each finds its own.
"""

from __future__ import annotations

import atexit
import functools
import json
import os
import runpy
import select
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import warnings
from contextlib import suppress
from pathlib import Path

LIBRARIES = "torchvision clip.clip sklearn.manifold matplotlib.pyplot zarr dask.array h5py dvc.repo dvc.commands.repro"
WEAKHOI = "import sys; from stages.cli import main; sys.executable = {python!r}; main(prog_name='weakhoi')"
SCRIPT = """#!{python} -ES
import json, os, socket, sys
server = socket.socket(socket.AF_UNIX)
server.connect({address!r})
request = json.dumps([{arguments!r} + sys.argv[1:], os.getcwd(), dict(os.environ)]).encode()
socket.send_fds(server, [len(request).to_bytes(4, "little")], [0, 1, 2])
server.sendall(request)
os._exit(server.recv(1)[0])
"""


@functools.cache
def folder() -> str:
    """Start the server of this process; return the folder of the scripts."""
    made = tempfile.mkdtemp(prefix="warm")
    address = f"{made}/socket"
    weakhoi = ["-c", WEAKHOI.format(python=f"{made}/python")]  # which starts stages by it
    for name, arguments in {"python": [], "dvc": ["-m", "dvc"], "weakhoi": weakhoi}.items():
        script = Path(made, name)
        script.write_text(SCRIPT.format(python=sys.executable, address=address, arguments=arguments))
        script.chmod(0o755)
    environment = {"OMP_NUM_THREADS": "2"} | os.environ | {"DVC_NO_ANALYTICS": "1"}
    environment.pop("PYTHONPATH", None)  # each process has its own
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    server = subprocess.Popen([sys.executable, __file__, address], env=environment, **pipes)
    assert server.stdout is not None and server.stdout.readline() == b"ready\n"
    atexit.register(server.communicate)
    return made


def serve(address: str) -> list[str]:
    """Wait for requests; return, in a process forked for one, the arguments that it is to run."""
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(address)
        listening.listen(32)
        os.write(1, b"ready\n")
        while True:
            if 0 in select.select([0, listening], [], [])[0]:
                shutil.rmtree(Path(address).parent)  # the process that started this one has ended
                os._exit(0)
            connection, _ = listening.accept()
            if os.fork() == 0:
                break
            connection.close()
            with suppress(ChildProcessError):
                while os.waitpid(-1, os.WNOHANG)[0]:
                    pass
    size, files, *_ = socket.recv_fds(connection, 4, 3)
    request = b""
    while len(request) < int.from_bytes(size, "little"):
        request += connection.recv(1 << 16)
    if child := os.fork():
        ended = os.pidfd_open(child)
        if ended not in select.select([ended, connection], [], [])[0]:
            os.killpg(child, signal.SIGKILL)  # the script was killed
        code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        with suppress(BrokenPipeError):
            connection.sendall(bytes([code % 256]))
        os._exit(0)
    os.setsid()
    connection.close()
    arguments, cwd, environment = json.loads(request)
    for number, file in enumerate(files):
        os.dup2(file, number)
        os.close(file)
    os.chdir(cwd)
    os.environ.clear()
    os.environ.update(environment)
    return arguments


def main() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for name in LIBRARIES.split():
            __import__(name)
    arguments = serve(sys.argv[1])
    kind, what, *arguments = arguments[arguments[0] == "-u" :]
    sys.path[:1] = [str(Path.cwd()), *filter(None, os.environ.get("PYTHONPATH", "").split(":"))]
    sys.argv = ["-c" if kind == "-c" else what, *arguments]
    if kind == "-m":
        runpy.run_module(what, run_name="__main__", alter_sys=True)
    else:
        assert kind == "-c"
        exec(what, {"__name__": "__main__"})


if __name__ == "__main__":
    main()
