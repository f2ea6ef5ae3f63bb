"""Labelled data from scikit-learn, Keras, image folders, NumPy archives and CSV files."""
