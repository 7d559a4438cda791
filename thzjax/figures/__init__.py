"""The published figures of both papers: each one's claim, how it is run, drawn and judged."""
