"""Models as files that run without fewlabel."""

from fewlabel.export.about import METADATA_KEY, model_id
from fewlabel.export.onnx_file import Exported, export_onnx
from fewlabel.export.web_page import export_page

__all__ = ["METADATA_KEY", "Exported", "export_onnx", "export_page", "model_id"]
