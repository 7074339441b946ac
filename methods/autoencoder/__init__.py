"""Autoencoders and the clustering built on them."""
