"""Training the embedded model: the autoencoder, its latents, then text encoders and UNet together. Seeded, resumable."""
