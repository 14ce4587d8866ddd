"""The paper's method: image-level HOI recognition, knowledge transfer and self-taught relatedness (sec. 3.2, 3.3)."""
