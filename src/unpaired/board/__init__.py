"""Watching runs while they train; without torch, and nothing is written into a run."""
