"""What a model learns from: parallel text, made-up lessons, noise, the vocabulary, batches."""
