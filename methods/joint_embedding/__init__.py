"""Representations from views of the same image."""
