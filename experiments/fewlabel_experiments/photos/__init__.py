"""Study of photos: a pretrained network, self-training and selection, with 5 % of the labels."""
