"""Free memory is the machine's, or the container's if that is less."""

import psutil
import pytest

from unpaired.data import memory
from unpaired.data.memory import Budget, free_memory


def limit(folder, most: str, current: int, file: int) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "memory.max").write_text(f"{most}\n")
    (folder / "memory.current").write_text(f"{current}\n")
    (folder / "memory.stat").write_text(f"anon 5\ninactive_file {file}\nactive_file 7\n")


@pytest.fixture
def own_group(tmp_path, monkeypatch):
    """The folder of this process's control group, two below the root."""
    monkeypatch.setattr(memory, "CGROUPS", tmp_path)
    cgroup = tmp_path / "cgroup.txt"
    cgroup.write_text("1:name=x:/old\n0::/job/step\n")
    monkeypatch.setattr(memory, "OWN", cgroup)
    return tmp_path / "job" / "step"


def test_without_limits_it_is_the_machines(own_group):
    limit(own_group, "max", 50, 0)
    assert 0.5 < free_memory() / psutil.virtual_memory().available < 2


def test_the_tightest_group_above_counts_and_cached_files_are_free(own_group):
    limit(own_group, "max", 900, 0)
    limit(own_group.parent, "1000", 900, 300)
    assert free_memory() == 400
    limit(own_group, "1000", 2000, 0)
    assert free_memory() == 0


def test_where_there_are_no_groups_it_is_the_machines(monkeypatch, tmp_path):
    monkeypatch.setattr(memory, "OWN", tmp_path / "nothing")
    assert free_memory() > 1 << 20


def test_a_budget_counts_pages_and_is_never_exceeded():
    budget = Budget(10_000)
    assert budget.take(1)
    assert not budget.take(4097)
    assert budget.take(4096)
    assert not budget.take(1)
