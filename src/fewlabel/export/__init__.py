"""Models as files that run without fewlabel."""

from fewlabel.export.onnx_file import METADATA_KEY, Exported, export_onnx, model_id

__all__ = ["METADATA_KEY", "Exported", "export_onnx", "model_id"]
