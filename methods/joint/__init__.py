"""Networks and clusters learned in turn, each from the other."""
