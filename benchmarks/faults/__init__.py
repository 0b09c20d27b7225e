"""Faults that are provoked on purpose, each by one small function; `python -m benchmarks.faults`.

A trial breaks one thing once, at a moment or place drawn from (seed, fault, number of the trial),
and gives in a word what came of it; an AssertionError says what should not have come.
"""
