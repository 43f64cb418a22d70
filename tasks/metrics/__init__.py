"""Figures of how good predictions are."""
