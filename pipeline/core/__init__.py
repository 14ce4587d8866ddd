"""Records, boxes, vocabulary, seeds, devices and errors: what every room may import."""
