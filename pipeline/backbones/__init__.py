"""Visual encoders: images to features, and features to embeddings of whole images and of regions."""
