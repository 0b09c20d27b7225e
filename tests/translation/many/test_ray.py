"""Ray on one machine: real actors."""

import os
from pathlib import Path

import psutil
import pytest

from tests.translation.many.files import check_folder, order, write_folder, write_negative
from unpaired.errors import UserError
from unpaired.translation.many import record
from unpaired.translation.many.stores import open_store

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def cluster():
    ray = pytest.importorskip("ray")
    path = os.pathsep.join([os.environ.get("PYTHONPATH", ""), str(Path.cwd())])
    ray.init(num_cpus=2, include_dashboard=False, runtime_env={"env_vars": {"PYTHONPATH": path}})
    yield ray
    ray.shutdown()


def test_actors_do_what_ranks_do(tmp_path, cluster) -> None:
    from unpaired.translation.many.ray import translate_by_ray

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
    with pytest.raises(UserError, match="another format"):
        translate_by_ray(order(run, folder, out=tmp_path / "out", format="tif"), 2)


def test_an_actor_that_is_killed_is_replaced_and_its_block_done_again(
    tmp_path, cluster, caplog
) -> None:
    from unpaired.translation.many.ray import translate_by_ray

    run = write_negative(tmp_path / "negative.onnx")
    asked = order(run, write_folder(tmp_path / "in", 1200), out=tmp_path / "out")
    killed = []

    def kill_one(done: int, of: int) -> None:
        if not killed:
            family = psutil.Process().children(recursive=True)
            actor = next(p for p in family if "_Actor" in " ".join(p.cmdline()))
            killed.append(actor.pid)
            actor.kill()

    outcome = translate_by_ray(asked, 2, kill_one)
    assert killed
    assert (outcome.translated, outcome.failed) == (1200, [])
    check_folder(tmp_path / "out", 1200)
    assert caplog.text.count("an actor was lost and replaced") == 1
