"""What is written: tokens, words and the lexicon that joins them. Imports ``common`` alone, and no torch."""
