"""Manifests and landmarks -> batches: archives, stage 2, samplers, collation, the LightningDataModule."""
