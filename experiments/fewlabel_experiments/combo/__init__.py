"""The study of two characters in one noisy image."""
