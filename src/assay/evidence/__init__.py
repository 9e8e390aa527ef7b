"""What a tag says: the events of a strategy's life, and the trailers they are written as."""
