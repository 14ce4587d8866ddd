"""The method: pairing, spatial encoding, RoI attention pooling, network, pseudo labels, losses. No files."""
