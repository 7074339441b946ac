"""Clustering without a network."""
