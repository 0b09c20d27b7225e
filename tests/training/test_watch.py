"""Evaluations choose the best checkpoint, end the run, and tell what they found."""

import json
import math
import shutil
import signal
from pathlib import Path

import pytest
import torch
from accelerate import Accelerator

from tests.training.runs import in_process, tiny_config, write_dataset
from tests.training.test_resume import assert_same_state, seal, wait_for_step
from unpaired.data.datasets import open_dataset
from unpaired.errors import UserError
from unpaired.training.card import read_card
from unpaired.training.checkpoint import load_method, read_state
from unpaired.training.config import write_yaml
from unpaired.training.evaluator import Evaluator
from unpaired.training.finding import find_checkpoint
from unpaired.training.run import train
from unpaired.training.schedule import ScheduleConfig
from unpaired.training.shares import Shares
from unpaired.training.tracking import losses_of, read_findings, read_metrics
from unpaired.training.validation import Finding, Judgement, Seen
from unpaired.training.watch import Watch

SCORES = {2: 3.0, 4: 1.0, 6: 2.0, 8: math.nan, 10: 1.0, 12: 0.5}
"""Of the runs here, by step: the best before the end is 4, and then three are not better."""


def judge(seen: Seen) -> Judgement:
    """A score that is known beforehand; what it found lasts from step 4 to 8, and is worse at 6."""
    findings = ()
    if 4 <= seen.step <= 8:
        severity = "notice" if seen.step == 4 else "warning"
        findings = (Finding("mode_collapse", severity, "spread 0.1", "lower the rate", "x2y"),)
    score = SCORES[seen.step]
    return Judgement(score, {"kid_x2y": score, "kid_x2y_error": 0.25}, findings)


SCRIPT = """
import sys, time
from pathlib import Path
import torch
torch.set_num_threads(1)
from tests.training.test_watch import judge
from unpaired.training.config import read_yaml
from unpaired.training.run import train
from unpaired.training.trainer import Trainer

slow = float(sys.argv[4])
step = Trainer.step
Trainer.step = lambda *a: (time.sleep(slow), step(*a))[1]
resume = sys.argv[3] == "resume"
train(read_yaml(Path(sys.argv[1])), Path(sys.argv[2]), resume=resume, judge=judge)
"""


def start(config: Path, out: Path, *, resume: bool = False, slow: float = 0.0):
    return in_process(SCRIPT, config, out, "resume" if resume else "new", str(slow))


@pytest.fixture(scope="module")
def dataset(tmp_path_factory) -> Path:
    return write_dataset(tmp_path_factory.mktemp("data") / "set", train=24)


def watched(data: Path, **changes: object):
    return tiny_config(data, **{"evaluate_every": 2, "checkpoint_every": 3, "keep": 1, **changes})


@pytest.fixture(scope="module")
def stopped(dataset, tmp_path_factory) -> Path:
    """A run that three evaluations in a row without a better score ended at step 10 of 12."""
    config = watched(dataset, stop_after=3)
    return train(config, tmp_path_factory.mktemp("runs") / "run", judge=judge, quiet=True)


def test_the_run_ends_after_so_many_evaluations_without_a_better_score(stopped):
    assert read_card(find_checkpoint(stopped)).step == 10
    watch = read_state(find_checkpoint(stopped))[1].values["run"]["watch"]
    assert watch["waited"] == 3
    assert watch["stopped"] == "3 evaluations in a row brought no better score than step 4"


def test_best_is_the_smallest_score_and_neither_an_equal_nor_a_nan_takes_its_place(stopped):
    best = read_card(find_checkpoint(stopped, "best"))
    assert (best.step, best.score) == (4, 1.0)
    judged = {line["step"]: line for line in read_metrics(stopped) if "validation_score" in line}
    assert sorted(judged) == [2, 4, 6, 10]  # a score that is not finite is in no curve
    assert judged[6] == {
        "step": 6, "kid_x2y": 2.0, "kid_x2y_error": 0.25, "validation_score": 2.0
    }  # fmt: skip
    assert all(math.isfinite(v) for line in read_metrics(stopped) for v in line.values())


def test_a_killed_run_resumes_to_the_same_stop_the_same_best_and_the_same_findings(
    dataset, stopped, tmp_path
):
    config, run = tmp_path / "config.yaml", tmp_path / "run"
    write_yaml(watched(dataset, stop_after=3), config)
    process = start(config, run, slow=0.1)
    wait_for_step(run, 8)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    assert read_state(find_checkpoint(run))[0].step == 6  # two evaluations before the stop
    (run / "best").unlink()  # as if the kill had come before the pointer was written
    process = start(config, run, resume=True)
    said = process.communicate(timeout=60)[1]
    assert process.returncode == 0, said
    assert_same_state(find_checkpoint(run), find_checkpoint(stopped))
    assert_same_state(find_checkpoint(run, "best"), find_checkpoint(stopped, "best"))
    assert read_findings(run) == read_findings(stopped)
    assert "stopped at step 10: 3 evaluations in a row brought no better score" in said
    assert "mode collapse" not in said  # said before the kill, and no worse since
    steps = [line["step"] for line in read_metrics(run)]
    assert steps == [line["step"] for line in read_metrics(stopped)]


def test_a_stopped_run_stays_stopped_until_more_patience_is_asked_for(
    dataset, stopped, tmp_path, capsys
):
    run = shutil.copytree(stopped, tmp_path / "copy")
    train(watched(dataset, stop_after=3, steps=14), run, resume=True, judge=judge)
    assert read_card(find_checkpoint(run)).step == 10
    assert "a larger --stop-after, or 0, goes on" in capsys.readouterr().err
    train(watched(dataset, stop_after=4), run, resume=True, judge=judge)
    assert read_card(find_checkpoint(run)).step == 12
    assert read_card(find_checkpoint(run, "best")).step == 12
    said = capsys.readouterr().err
    assert "stopped at" not in said
    assert "last: step 12, score 0.5000; best: step 12, score 0.5000" in said


def test_the_log_says_what_was_found_once_and_again_when_it_is_worse(dataset, tmp_path, capsys):
    run = train(watched(dataset), tmp_path / "run", judge=judge)
    said = capsys.readouterr().err.splitlines()
    found = [line for line in said if "mode collapse" in line]
    assert found == [
        "notice: step 4: mode collapse (x2y): spread 0.1; lower the rate",
        "warning: step 6: mode collapse (x2y): spread 0.1; lower the rate",
    ]
    assert [line["step"] for line in read_findings(run)] == [4, 6, 8]
    assert read_findings(run)[0] == {
        "step": 4, "name": "mode_collapse", "severity": "notice", "evidence": "spread 0.1",
        "advice": "lower the rate", "direction": "x2y",
    }  # fmt: skip
    assert any("step 8: warning: the validation score is nan" in line for line in said)
    assert "step 6: validation score 2.0000 (kid_x2y 2.0000 ± 0.2500), not better than step 4 " in (
        " ".join(said)
    )
    assert (
        "chosen by a validation share split off from training, never by the test split"
        in (said[-1])
    )


def test_a_run_whose_scores_are_never_finite_has_no_best_and_says_so(dataset, tmp_path, capsys):
    config = watched(dataset, stop_after=2)
    run = train(config, tmp_path / "run", judge=lambda seen: Judgement(math.nan))
    assert read_card(find_checkpoint(run)).step == 4
    assert not (run / "best").exists()
    assert "no best: no score was finite" in capsys.readouterr().err
    with pytest.raises(UserError, match='no checkpoint "best"'):
        find_checkpoint(run, "best")


def test_the_last_step_is_judged_too_and_a_run_that_ends_by_its_length_was_not_stopped(
    dataset, tmp_path
):
    steps = []

    def record(seen: Seen) -> Judgement:
        steps.append(seen.step)
        return Judgement(1.0)

    run = train(watched(dataset, steps=7, stop_after=3), tmp_path / "run", judge=record, quiet=True)
    assert steps == [2, 4, 6, 7]
    card, state = read_state(find_checkpoint(run))
    assert card.score == 1.0
    assert state.values["run"]["watch"]["stopped"] is None
    train(watched(dataset, steps=7, stop_after=3), run, resume=True, judge=record, quiet=True)
    assert steps == [2, 4, 6, 7]


def test_the_judge_sees_the_weights_that_will_be_used_and_the_run_goes_on_with_its_own(
    dataset, tmp_path
):
    seen_at = {}

    def record(seen: Seen) -> Judgement:
        seen_at[seen.step] = seen.x, seen.translate(seen.x, "x2y")
        return Judgement(-float(seen.step))

    config = watched(dataset, steps=4)
    run = train(config, tmp_path / "run", judge=record, quiet=True)
    method, _ = load_method(find_checkpoint(run, "best"))
    x, made = seen_at[4]
    with torch.no_grad():
        torch.testing.assert_close(method.translate(x, "x2y"), made)
        raw, _ = load_method(find_checkpoint(run, "best"), averaged=False)
        assert not torch.allclose(raw.translate(x, "x2y"), made)
    unseen = train(config, tmp_path / "unseen", judge=lambda seen: Judgement(0.0), quiet=True)
    weights = [read_state(find_checkpoint(r))[1].tensors["weights"] for r in (run, unseen)]
    assert all(torch.equal(weights[0][k], weights[1][k]) for k in weights[0])


def test_the_judge_is_told_the_losses_since_the_last_evaluation_and_how_far_weights_moved(
    dataset, tmp_path
):
    told = []

    def record(seen: Seen) -> Judgement:
        told.append(seen)
        return Judgement(0.0)

    config = watched(dataset, steps=4)
    run = train(config, tmp_path / "run", judge=record, quiet=True)
    logged = [losses_of(line) for line in read_metrics(run)]
    logged = [line for line in logged if line]
    for evaluation, lines in zip(told, (logged[:2], logged[2:])):
        assert evaluation.losses == {name: [line[name] for line in lines] for name in lines[0]}
    assert told[0].directions == ("x2y", "y2x")
    assert told[0].adversarial == "lsgan"
    assert told[0].change is None
    assert 0 < told[1].change < 0.1


def test_nothing_of_the_test_split_reaches_training_or_the_judge(dataset, tmp_path):
    shares = {}

    class Spy(Evaluator):
        def __init__(self, judge, held, trainer):
            shares["held"] = held
            super().__init__(judge, held, trainer)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("unpaired.training.session.Evaluator", Spy)
        train(watched(dataset, steps=1), tmp_path / "run", judge=lambda s: Judgement(0), quiet=True)
    data = open_dataset(str(dataset))
    config = watched(dataset)
    own = Shares(data, config, Accelerator(cpu=True), lambda *_: None, paired=False)
    for side in "xy":
        held = set(getattr(own.held, side).names)
        assert held == set(getattr(shares["held"], side).names)
        learned = set(getattr(own.train, side).names)
        assert len(held) == 2
        assert not held & learned
        assert held | learned == set(getattr(data, f"train_{side}").names)


def test_the_plateau_schedule_reads_the_judges_score(dataset, tmp_path):
    schedule = ScheduleConfig(kind="plateau", patience=1, factor=0.5)
    config = watched(dataset, schedule=schedule, steps=6)
    scores = iter([1.0, math.nan, 2.0])
    run = train(config, tmp_path / "run", judge=lambda seen: Judgement(next(scores)), quiet=True)
    rates = [line["lr"] for line in read_metrics(run) if "lr" in line]
    assert rates == [1e-3, 1e-3, 1e-3, 1e-3, 5e-4, 5e-4]


def test_stop_after_without_evaluations_and_below_0_is_refused(dataset):
    with pytest.raises(UserError, match="--evaluate-every"):
        tiny_config(dataset, stop_after=3)
    with pytest.raises(UserError, match="--stop-after is -1"):
        watched(dataset, stop_after=-1)


def test_evaluations_without_a_judge_are_refused_before_anything_is_written(dataset, tmp_path):
    with pytest.raises(UserError, match="needs a judge"):
        train(watched(dataset), tmp_path / "run", quiet=True)
    assert not (tmp_path / "run").exists()


def test_a_finding_that_went_away_and_came_back_is_news():
    finding = Finding("blobs", "warning", "3 spots", "use another norm", "y2x")
    watch = Watch()
    assert watch.news([finding]) == [finding]
    assert watch.news([finding._replace(evidence="4 spots")]) == []
    assert watch.news([finding._replace(severity="notice")]) == []
    assert watch.news([finding._replace(direction="x2y")]) != []
    assert watch.news([]) == []
    assert watch.news([finding]) == [finding]


def test_a_run_from_before_there_was_a_watch_can_be_continued(dataset, tmp_path):
    run = train(tiny_config(dataset, steps=2), tmp_path / "run", quiet=True)
    checkpoint = find_checkpoint(run)
    state = json.loads((checkpoint / "state.json").read_text())
    del state["run"]["watch"]
    (checkpoint / "state.json").write_text(
        json.dumps({**state, "run": {**state["run"], "best": None}})
    )
    seal(checkpoint)
    train(tiny_config(dataset, steps=3), run, resume=True, quiet=True)
    assert read_card(find_checkpoint(run)).step == 3
