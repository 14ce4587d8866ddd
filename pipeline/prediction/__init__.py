"""A trained model on a user's own images: named triplets, as JSON and as pictures."""
