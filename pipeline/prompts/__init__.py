"""Sentences of HOI classes, and the knowledge bank that CLIP's text encoder makes of them."""
