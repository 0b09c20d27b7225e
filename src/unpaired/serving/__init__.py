"""Runs behind a web page and an HTTP interface: `unpaired serve`.

LitServe brings the workers: processes that are spawned (torch never shares a process with the web
server, and is never forked), a queue to them that outlives a killed one, and a loop that batches.
Ray Serve was the alternative. It bounds its queues and restarts its replicas by itself, but brings
a cluster to a laptop: several processes more, ports of its own, logs and spilled objects on disk.

LitServe's own HTTP side is not used, for what version 0.2.19 does when it is:
- `LitServer.run` puts the web server into a process of its own, and looks after workers in another.
  Whoever waits for a worker that is killed therefore waits for ever. SIGTERM ends the parent alone.
- Its queue has no bound; its timeout is that of waiting, not of working.
- Its loop asks an empty queue a thousand times a second.
So the web server (FastAPI on uvicorn), the bound, the timeouts and the watch over the workers are
here: `pool` keeps LitServe's processes, `handing` gives them work, `batching` and `worker` run in
them. They reach into what LitServe calls private, so its version is bounded.
"""
