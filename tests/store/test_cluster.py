import dataclasses
import socket
from pathlib import Path

import pytest

from pipeline.config.params import ExecutionParams
from pipeline.core.errors import ArtifactError, ParamError
from pipeline.store.cluster import check_seen, chosen_cluster, connect
from pipeline.store.files import sha256_of


def refusal(address: str) -> str:
    with pytest.raises(ParamError) as caught, connect(address, patience=0.2):
        pass
    return str(caught.value)


def test_without_an_address_work_stays_here():
    with connect(None) as client:
        assert client is None


def test_workers_get_a_root_that_does_not_depend_on_their_folder():
    of_params = dataclasses.replace(ExecutionParams(), scheduler="tcp://of-params:1")
    absolute = Path("root").absolute()
    assert chosen_cluster(None, ExecutionParams(), Path("root")) == (None, Path("root"))
    assert chosen_cluster(None, of_params, Path("root")) == ("tcp://of-params:1", absolute)
    assert chosen_cluster("tcp://given:1", of_params, Path("root")) == ("tcp://given:1", absolute)


def test_a_worker_refuses_other_bytes_than_the_callers(tmp_path):
    path, other = tmp_path / "ours.zarr", tmp_path / "clone" / "ours.zarr"
    path.mkdir()
    (path / "logits").write_text("mine")
    digest = sha256_of(path)
    check_seen(path, digest)
    expected = f"the caller {digest[:12]}; start workers only where"
    with pytest.raises(ArtifactError, match=f"a worker sees sha256 no file there, {expected}"):
        check_seen(other, digest)
    other.mkdir(parents=True)
    (other / "logits").write_text("theirs")
    with pytest.raises(ArtifactError, match=f"a worker sees sha256 {sha256_of(other)[:12]} there, {expected}"):
        check_seen(other, digest)


@pytest.mark.parametrize(
    ("address", "reason"),
    [
        ("nonsense", "missing port number"),
        ("http://127.0.0.1:8786", "unknown address scheme 'http'"),
        ("tcp://127.0.0.1:1", "no answer in"),
    ],
)
def test_an_address_without_a_scheduler_is_named(address, reason):
    message = refusal(address)
    assert message.startswith(f'scheduler: no Dask scheduler at "{address}" ({reason}')
    assert "expected tcp://host:port" in message


def test_a_server_that_never_answers_is_given_up():
    with socket.create_server(("127.0.0.1", 0)) as silent:
        assert "no answer in" in refusal(f"tcp://127.0.0.1:{silent.getsockname()[1]}")


@pytest.mark.slow
def test_a_cluster_without_workers_is_named_and_one_with_some_computes():
    from distributed import LocalCluster

    with LocalCluster(n_workers=0, threads_per_worker=1, dashboard_address=":0") as cluster:
        message = refusal(cluster.scheduler_address)
        assert message.endswith(f'start some with "dask worker {cluster.scheduler_address}"')
        cluster.scale(1)
        with connect(cluster.scheduler_address, patience=60) as client:
            assert client is not None
            assert client.submit(sum, [1, 2]).result() == 3
            worker = next(iter(client.scheduler_info()["workers"]))
        assert "it is a worker" in refusal(worker)
