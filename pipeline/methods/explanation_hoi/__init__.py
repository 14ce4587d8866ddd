"""Explanation-HOI: verbs of an image from its graph of boxes, then gradients that say which boxes they come from."""
