"""Executors: they take planned cells and see each one to its record."""
