"""Runs: configuration, training loop, checkpoints, evaluation, statistics, records and the report."""
