"""Clusters, the nearest-neighbor graph, and which images to label first."""
