"""stepladder: measured steps to a small convolutional network."""
