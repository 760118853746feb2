"""From a folder of images and a handful of labels to a classifier you can trust."""

from __future__ import annotations

__version__ = "0.1.0"
