"""From images, proposals and a checkpoint to raw pair logits."""
