"""The synthetic world: scenes drawn by code, their captions, and the recipes of its two small models."""
