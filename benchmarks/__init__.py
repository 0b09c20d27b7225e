"""Measurements: ratios taken in one interleaved run. See each file's docstring for its command."""
