"""Image-level labels, images, split manifests, and the bags that training sees."""
