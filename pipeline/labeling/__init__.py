"""Image-level labels without annotation: CLIP's similarity of images and regions to HOI sentences, thresholded."""
