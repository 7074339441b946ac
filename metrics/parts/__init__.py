"""What two or more metrics share: the contingency table, the matching, entropies, neighbours, samples."""
