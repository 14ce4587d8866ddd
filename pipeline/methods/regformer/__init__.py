"""RegFormer (CVPR 2026): queries of human and object regions from patches, trained on images and their labels alone."""
