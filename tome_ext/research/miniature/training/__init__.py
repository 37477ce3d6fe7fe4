"""Training of the miniature: autoencoder, contrastive text encoders, UNet."""
