"""Networks that say the cluster themselves: by neighbours, mutual information, contrast or transport."""
