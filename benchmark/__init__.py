"""The harness: it plans cells, has them fitted blind, scores them and writes what it saw."""
