"""The study of binary experts."""
