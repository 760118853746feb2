"""Images and labels: every input form to one ``ImageSet``, label tables, splits, benchmarks."""

from fewlabel.data.arrays import image_set_from_array
from fewlabel.data.benchmarks import get_benchmark, list_benchmarks, load_benchmark
from fewlabel.data.catalog import BenchmarkInfo
from fewlabel.data.images import ImageSet, Skipped, load_images
from fewlabel.data.label_forms import labels_of
from fewlabel.data.labels import Labels, labels_from_truth, read_labels, write_labels
from fewlabel.data.scale import PixelScale
from fewlabel.data.splits import random_labels, stratified_split
from fewlabel.data.task import MultiLabel, SingleLabel, Task, task_of
from fewlabel.files import cache_folder

__all__ = [
    "BenchmarkInfo",
    "ImageSet",
    "Labels",
    "MultiLabel",
    "PixelScale",
    "SingleLabel",
    "Skipped",
    "Task",
    "cache_folder",
    "get_benchmark",
    "image_set_from_array",
    "labels_from_truth",
    "labels_of",
    "list_benchmarks",
    "load_benchmark",
    "load_images",
    "random_labels",
    "read_labels",
    "stratified_split",
    "task_of",
    "write_labels",
]
