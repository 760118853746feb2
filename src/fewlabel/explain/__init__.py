"""Explanations: which parts of an image speak for a class, and how far to trust that."""
