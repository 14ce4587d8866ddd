"""A trained model on a user's own images: named triplets, as JSON and as pictures."""

TOP_K, THRESHOLD = 10, 0.01  # triplets of an image at most, and their lowest score, where the user names none
