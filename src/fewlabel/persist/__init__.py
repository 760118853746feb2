"""Saved models: a folder of numbers and JSON that loads without running any code."""

from fewlabel.persist.manifest import FORMAT_VERSION, Bundle, load_bundle, save_bundle

__all__ = ["FORMAT_VERSION", "Bundle", "load_bundle", "save_bundle"]
