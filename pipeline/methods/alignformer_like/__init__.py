"""AlignFormer (Kilickaya & Smeulders 2021), reconstructed: set prediction of pairs, aligned to image-level labels."""
