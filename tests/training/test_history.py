"""The history buffer shows what the paper's buffer shows."""

import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st

from unpaired.training.history import History


def images(first: int, count: int) -> torch.Tensor:
    """Images that are their own number."""
    return torch.arange(first, first + count).view(-1, 1, 1, 1).float()


def test_a_filling_buffer_stores_and_shows_every_image():
    history, rng = History(4), np.random.default_rng(0)
    assert torch.equal(history.exchange(images(0, 3), rng), images(0, 3))
    history.commit()
    assert torch.equal(history.state(), images(0, 3))


def test_a_full_buffer_swaps_half_of_the_time():
    history, rng = History(50), np.random.default_rng(0)
    history.exchange(images(0, 50), rng)
    history.commit()
    old = 0
    for i in range(2000):
        shown = history.exchange(images(50 + i, 1), rng).item()
        old += shown != 50 + i
        history.commit()
    assert 900 < old < 1100
    assert len(history.images) == 50


@given(
    capacity=st.integers(0, 5),
    sizes=st.lists(st.integers(1, 4), max_size=8),
    seed=st.integers(0, 99),
)
def test_every_image_shown_is_new_or_was_stored_and_none_is_lost_or_doubled(capacity, sizes, seed):
    history, rng, count, seen = History(capacity), np.random.default_rng(seed), 0, []
    for size in sizes:
        shown = history.exchange(images(count, size), rng)
        history.commit()
        assert shown.shape == (size, 1, 1, 1)
        seen += shown.flatten().tolist()
        count += size
        assert all(value < count for value in seen)
    stored = history.state().flatten().tolist()
    assert len(stored) == len(set(stored)) == min(capacity, count)


def test_a_forgotten_exchange_leaves_no_trace_and_two_before_a_commit_both_count():
    history, rng = History(4), np.random.default_rng(0)
    history.exchange(images(0, 2), rng)
    history.forget()
    history.commit()
    assert history.images == []
    history.exchange(images(0, 1), rng)
    history.exchange(images(1, 1), rng)
    history.commit()
    assert torch.equal(history.state(), images(0, 2))


def test_state_makes_a_round_trip_even_when_empty():
    for count in (0, 3):
        history, copy = History(3), History(3)
        if count:
            history.exchange(images(0, count), np.random.default_rng(0))
            history.commit()
        copy.restore(history.state())
        assert torch.equal(copy.state(), history.state())
