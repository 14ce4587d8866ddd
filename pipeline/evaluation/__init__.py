"""Matching, average precision, and the HICO-DET and V-COCO evaluation protocols."""
