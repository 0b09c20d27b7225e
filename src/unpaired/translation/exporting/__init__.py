"""Runs as single files that other programs can use, and that translate without torch."""
