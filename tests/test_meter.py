"""Progress is a plain line now and then where nobody watches."""

from unpaired import meter as module
from unpaired.meter import meter


def test_plain_lines_come_now_and_then_when_it_is_no_terminal(capsys, monkeypatch):
    now = [0.0]
    monkeypatch.setattr(module.time, "monotonic", lambda: now[0])
    with meter("a.zip") as show:
        for step in range(1, 31):
            now[0] = float(step)
            show(step * 1000, 100_000 if step < 25 else None)
    with meter("pairs", of_bytes=False) as show:
        now[0] += 11
        show(3, 4)
    assert capsys.readouterr().err.splitlines() == [
        "a.zip: 10,000 of 100,000 (10%) bytes",
        "a.zip: 20,000 of 100,000 (20%) bytes",
        "a.zip: 30,000 bytes",
        "pairs: 3 of 4 (75%)",
    ]
