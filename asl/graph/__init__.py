"""H, L, G and their composition: one graph, searched by two engines (k2 and kaldi)."""
