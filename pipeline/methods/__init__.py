"""Methods: networks from images and proposals to interaction scores, and the losses that train them from weak labels."""
