"""Speeds of thzjax, measured beside what one would use instead: `thzjax bench`, or `python -m benchmarks.NAME`."""
