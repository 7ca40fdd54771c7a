"""From log-probs to hypotheses: classification, greedy, prefix beam, and search in a compiled graph."""
