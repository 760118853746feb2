"""Study B: the same with up to 2,000 clusters, and a seven-layer network."""
