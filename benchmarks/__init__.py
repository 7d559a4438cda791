"""Speeds, and what was measured on which machine."""
