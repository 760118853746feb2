"""Images as rows of numbers: patches, pixels, pretrained networks, distances to clusters."""
