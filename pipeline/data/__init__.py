"""Datasets: readers, images, ground truth, and the bags that training sees."""
