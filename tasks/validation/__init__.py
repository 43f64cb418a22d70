"""Checks of rows and splits before anything is learned."""
