"""Labelled data from scikit-learn, Keras, image folders, NumPy archives and CSV files."""

from automcu.datasets.image_folder import load_pictures
from automcu.datasets.load import load_dataset
from automcu.datasets.record import Dataset, Split
from automcu.datasets.resize import resized

__all__ = ["Dataset", "Split", "load_dataset", "load_pictures", "resized"]
