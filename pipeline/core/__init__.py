"""Records, boxes, vocabulary, parameters, paths, seeds and errors: what every room may import."""
