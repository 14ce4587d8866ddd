"""Bytes on disk: digests, manifests, proposals, banks, checkpoints, dumps and resumable parts."""
