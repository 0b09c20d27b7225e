"""Ray on one machine: real actors."""

import contextlib
import multiprocessing
import os
import signal
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from tests.extras import need
from tests.translation.many.files import check_folder, order, write_folder, write_negative
from unpaired.errors import UserError
from unpaired.translation.many import ray as many
from unpaired.translation.many import record
from unpaired.translation.many.ray import translate_by_ray
from unpaired.translation.many.stores import open_store


@contextlib.contextmanager
def started():
    """A cluster of this process's own."""
    ray = need("ray")
    need("ray.data")
    path = os.pathsep.join([os.environ.get("PYTHONPATH", ""), str(Path.cwd())])
    environment = {"PYTHONPATH": path, "OMP_NUM_THREADS": "1", "RAY_USAGE_STATS_ENABLED": "0"}
    with pytest.MonkeyPatch.context() as patch:  # not a runtime_env, which has an agent of its own
        for name, value in environment.items():
            patch.setenv(name, value)
        ray.init(num_cpus=2, include_dashboard=False)
        yield ray
        ray.shutdown()


@pytest.fixture(scope="module")
def cluster():
    with started() as ray:
        yield ray


def killing(times: int) -> tuple[list[int], Callable[[int, int], None]]:
    """What kills an actor after each of the first blocks; and whom it has killed."""
    killed: list[int] = []

    def kill_one(done: int, of: int) -> None:
        if len(killed) < times:
            family = psutil.Process().children(recursive=True)
            actor = next(p for p in family if "_Actor" in " ".join(p.cmdline()))
            killed.append(actor.pid)
            actor.kill()

    return killed, kill_one


def test_a_few_pictures_by_actors_of_which_one_is_killed(tmp_path) -> None:
    """The short form of all below, in a process that ends with it: Ray leaves threads behind."""
    need("ray")
    process = multiprocessing.get_context("spawn").Process(target=a_few_pictures, args=[tmp_path])
    process.start()
    process.join(300)
    assert process.exitcode == 0


def a_few_pictures(place: Path) -> None:
    with started(), pytest.MonkeyPatch.context() as patch:
        patch.setattr(many, "BLOCK", 10)
        folder = write_folder(place / "in", 60)
        run = write_negative(place / "negative.onnx")
        asked = order(run, folder, out=place / "out")
        killed, kill_one = killing(1)
        outcome = translate_by_ray(asked, 2, kill_one)
        assert killed
        assert (outcome.translated, outcome.skipped, outcome.failed) == (60, 0, [])
        check_folder(place / "out", 60)
        again = translate_by_ray(asked, 2)
        assert (again.translated, again.skipped) == (0, 60)
        assert record.total(open_store(asked.out), 1)[0].total == 60
        with pytest.raises(UserError, match="another format"):
            translate_by_ray(order(run, folder, out=place / "out", format="tif"), 2)


@pytest.mark.slow
def test_actors_do_what_ranks_do(tmp_path, cluster) -> None:
    folder = write_folder(tmp_path / "in", 600)
    (folder / "0/0003.png").write_bytes(b"broken")
    run = write_negative(tmp_path / "negative.onnx")
    asked = order(run, folder, out=tmp_path / "out")
    told: list[tuple[int, int]] = []
    outcome = translate_by_ray(asked, 2, lambda done, of: told.append((done, of)))
    assert (outcome.translated, outcome.skipped, len(outcome.failed)) == (599, 0, 1)
    assert told[-1] == (600, 600)
    assert len(told) == 3
    (tmp_path / "out/1/0077.png").unlink()
    again = translate_by_ray(asked, 2)
    assert (again.translated, again.skipped, len(again.failed)) == (1, 598, 1)
    assert record.total(open_store(asked.out), 1)[0].total == 600


@pytest.mark.slow
def test_an_actor_that_is_killed_is_replaced_and_its_block_done_again(
    tmp_path, cluster, caplog
) -> None:
    run = write_negative(tmp_path / "negative.onnx")
    asked = order(run, write_folder(tmp_path / "in", 1200), out=tmp_path / "out")
    killed, kill_one = killing(1)
    outcome = translate_by_ray(asked, 2, kill_one)
    assert killed
    assert (outcome.translated, outcome.failed) == (1200, [])
    check_folder(tmp_path / "out", 1200)
    assert caplog.text.count("an actor was lost and replaced") == 1


class Deadly(many._Actor):
    """Dies at whatever it is given."""

    def __call__(self, row):
        self.worker.do = lambda pieces: os.kill(os.getpid(), signal.SIGKILL)
        return super().__call__(row)


@pytest.mark.slow
def test_a_block_that_kills_every_actor_is_given_up_in_one_line(
    tmp_path, cluster, monkeypatch
) -> None:
    monkeypatch.setattr(many, "_Actor", Deadly)
    run = write_negative(tmp_path / "negative.onnx")
    asked = order(run, write_folder(tmp_path / "in", 20), out=tmp_path / "out")
    with pytest.raises(UserError) as error:
        translate_by_ray(asked, 1)
    assert f"{many.RETRIES + 1} actors were lost" in str(error.value)
    assert "\n" not in str(error.value)
