"""Finds the articles that answer a message: by meaning (embeddings, FAISS) and by words (Whoosh, BM25F). Knows nothing of Flask."""
