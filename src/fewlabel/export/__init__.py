"""Models as files that run without fewlabel."""

from fewlabel.export.onnx_file import METADATA_KEY, Exported, export_onnx, model_id
from fewlabel.export.web_page import export_page

__all__ = ["METADATA_KEY", "Exported", "export_onnx", "export_page", "model_id"]
