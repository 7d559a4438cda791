"""Channels as files: read with suspicion, checked against a system, written in parts, made of traced paths."""
