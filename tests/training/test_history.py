"""The history buffer shows what the paper's buffer shows."""

import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st

from unpaired.training.history import History

YES, NO = torch.tensor(True), torch.tensor(False)


def images(first: int, count: int) -> torch.Tensor:
    """Images that are their own number."""
    return torch.arange(first, first + count).view(-1, 1, 1, 1).float()


def test_a_filling_buffer_stores_and_shows_every_image():
    history, rng = History(4), np.random.default_rng(0)
    assert torch.equal(history.exchange(images(0, 3), rng), images(0, 3))
    history.settle(YES)
    assert torch.equal(history.state(), images(0, 3))


def test_a_full_buffer_swaps_half_of_the_time():
    history, rng = History(50), np.random.default_rng(0)
    history.exchange(images(0, 50), rng)
    history.settle(YES)
    old = 0
    for i in range(2000):
        shown = history.exchange(images(50 + i, 1), rng).item()
        old += shown != 50 + i
        history.settle(YES)
    assert 900 < old < 1100
    assert len(history.state()) == 50


@given(
    capacity=st.integers(0, 5),
    sizes=st.lists(st.integers(1, 4), max_size=8),
    seed=st.integers(0, 99),
)
def test_every_image_shown_is_new_or_was_stored_and_none_is_lost_or_doubled(capacity, sizes, seed):
    history, rng, count, seen = History(capacity), np.random.default_rng(seed), 0, []
    for size in sizes:
        shown = history.exchange(images(count, size), rng)
        history.settle(YES)
        assert shown.shape == (size, 1, 1, 1)
        seen += shown.flatten().tolist()
        count += size
        assert all(value < count for value in seen)
    stored = history.state().flatten().tolist()
    assert len(stored) == len(set(stored)) == min(capacity, count)


def in_lists(capacity: int, batches: list[torch.Tensor], kept: list[bool], seed: int):
    """The buffer as the paper's authors write it: what is shown, and what is stored in the end."""
    stored: list[torch.Tensor] = []
    shown = []
    for index, (batch, keep) in enumerate(zip(batches, kept)):
        rng, pool = np.random.default_rng([seed, index]), list(stored)
        for image in batch:
            if len(pool) < capacity:
                pool.append(image)
                shown.append(image)
            elif rng.random() < 0.5:
                place = int(rng.integers(capacity))
                shown.append(pool[place])
                pool[place] = image
            else:
                shown.append(image)
        stored = pool if keep else stored
    return shown, stored


@given(
    capacity=st.integers(1, 5),
    steps=st.lists(st.tuples(st.integers(1, 4), st.booleans()), max_size=9),
    seed=st.integers(0, 99),
)
def test_it_shows_and_stores_what_lists_would_also_when_steps_are_thrown_away(
    capacity, steps, seed
):
    sizes, kept = [size for size, _ in steps], [keep for _, keep in steps]
    batches = [images(10 * i, size) for i, size in enumerate(sizes)]
    history, shown = History(capacity), []
    for index, (batch, keep) in enumerate(zip(batches, kept)):
        shown += history.exchange(batch, np.random.default_rng([seed, index])).unbind()
        history.settle(torch.tensor(keep))
    expected_shown, expected_stored = in_lists(capacity, batches, kept, seed)
    assert [i.item() for i in shown] == [i.item() for i in expected_shown]
    assert history.state().flatten().tolist() == [i.item() for i in expected_stored]


def test_undone_exchanges_leave_no_trace_and_two_in_a_step_both_count():
    history, rng = History(4), np.random.default_rng(0)
    history.exchange(torch.full((2, 1, 1, 1), torch.nan), rng)
    history.settle(NO)
    history.settle(YES)
    assert len(history.state()) == 0
    history.exchange(images(0, 1), rng)
    history.exchange(images(1, 1), rng)
    history.settle(YES)
    assert torch.equal(history.state(), images(0, 2))
    for step in range(20):  # full: what is swapped must come back, also if swapped twice
        history.exchange(images(10 * step, 4), rng)
        history.exchange(images(10 * step + 4, 4), rng)
        history.settle(NO)
        assert torch.equal(history.state(), images(0, 2)[: len(history.state())])


def test_state_makes_a_round_trip_whether_empty_half_full_or_full():
    for count in (0, 2, 3):
        history, copy = History(3), History(3)
        if count:
            history.exchange(images(0, count), np.random.default_rng(0))
            history.settle(YES)
        copy.restore(history.state())
        assert torch.equal(copy.state(), history.state())
        both = [h.exchange(images(9, 4), np.random.default_rng(1)) for h in (history, copy)]
        assert torch.equal(*both)
