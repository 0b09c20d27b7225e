"""A run folder may come from anyone: nothing is written through its links."""

import pytest

from tests.training.runs import tiny_config, write_dataset
from unpaired.errors import UserError
from unpaired.training.checkpoint import prune
from unpaired.training.folder import may_continue, refuse_links
from unpaired.training.run import train
from unpaired.whole import passing_name


@pytest.mark.parametrize("name", ["metrics.jsonl", "checkpoints", "samples/deep", "latest"])
def test_a_run_with_a_link_out_of_it_is_not_continued(name, tmp_path):
    config = tiny_config(write_dataset(tmp_path / "data"), steps=1)
    run = train(config, tmp_path / "run", quiet=True)
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / ".canary").mkdir()
    (outside / "canary").write_text("alive\n")
    link = run / name
    if link.exists():
        link.rename(tmp_path / "aside")
    link.symlink_to(outside / "canary" if link.suffix else outside)
    with pytest.raises(UserError, match="is a link that leads out of the run folder"):
        train(config, run, resume=True, quiet=True)
    prune(run, keep=1, say=print)
    assert sorted(p.name for p in outside.iterdir()) == [".canary", "canary"]
    assert (outside / "canary").read_text() == "alive\n"


def test_what_a_kill_before_the_first_file_leaves_takes_no_folder(tmp_path):
    with passing_name(tmp_path / "config.yaml") as left:
        left.write_text("half")
    assert not may_continue(tmp_path, resume=True)
    (tmp_path / "notes.txt").write_text("")
    with pytest.raises(UserError, match="is not empty"):
        may_continue(tmp_path, resume=True)


def test_links_within_the_run_and_to_it_are_fine(tmp_path):
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "a").write_text("")
    (tmp_path / "run" / "b").symlink_to("a")
    (tmp_path / "link").symlink_to(tmp_path / "run")
    refuse_links(tmp_path / "link")
    (tmp_path / "run" / "c").symlink_to("../run-2")
    with pytest.raises(UserError, match="run/c"):
        refuse_links(tmp_path / "run")
