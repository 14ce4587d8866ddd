"""Methods: networks from images and proposals to interaction scores, and their losses from image-level labels."""
