"""`python -m thzjax` is the command line."""

from thzjax.cli import run

run()
