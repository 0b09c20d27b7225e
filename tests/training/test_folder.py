"""A run folder may come from anyone: nothing is written through its links."""

import os
import sys

import pytest
import torch

from tests.training.runs import tiny_config, write_dataset
from unpaired.errors import UserError
from unpaired.training.checkpoint import load_method, prune
from unpaired.training.finding import find_checkpoint
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


ODD = os.fsdecode(b"r\xffn")


@pytest.mark.parametrize("resume", [False, True])
def test_a_name_that_is_not_utf_8_is_refused_before_training(resume, tmp_path):
    with pytest.raises(UserError, match="is not written in UTF-8"):
        train(tiny_config(tmp_path / "data"), tmp_path / ODD, resume=resume, quiet=True)
    assert not list(tmp_path.iterdir())


@pytest.mark.skipif(sys.platform == "darwin", reason="names there are UTF-8")
def test_a_run_that_was_given_such_a_name_translates_all_the_same(tmp_path):
    run = train(
        tiny_config(write_dataset(tmp_path / "data"), steps=1), tmp_path / "run", quiet=True
    )
    weights = load_method(find_checkpoint(run))[0].state_dict()
    odd = run.rename(tmp_path / ODD)
    again = load_method(find_checkpoint(odd))[0].state_dict()
    assert all(torch.equal(again[name], tensor) for name, tensor in weights.items())


def test_links_within_the_run_and_to_it_are_fine(tmp_path):
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "a").write_text("")
    (tmp_path / "run" / "b").symlink_to("a")
    (tmp_path / "link").symlink_to(tmp_path / "run")
    refuse_links(tmp_path / "link")
    (tmp_path / "run" / "c").symlink_to("../run-2")
    with pytest.raises(UserError, match="run/c"):
        refuse_links(tmp_path / "run")
