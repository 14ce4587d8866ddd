"""Captions of images to image-level labels: which HOI classes a text names, by words alone."""
