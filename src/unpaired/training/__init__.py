"""Steps, checkpoints, schedules: everything that turns a method and batches into a trained run."""
