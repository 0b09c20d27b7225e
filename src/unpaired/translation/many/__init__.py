"""Translating more pictures than one process should: ranks, object stores, tar shards, Ray.

`sources` says what is to be done, `share` who does it, `loose` and `shards` do it, `record` keeps
what the output folder was begun with and what became of every share.
"""
