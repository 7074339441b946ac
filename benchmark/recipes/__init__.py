"""Scripts that make data sets which no one publishes. Each is run by hand, once; the loaders read what it writes."""
